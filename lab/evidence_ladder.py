"""The ladder of evidence, from the gates to the last question of a claim. Pure: an experiment in, rungs out.

Read `ladder_of` (which rung an experiment has reached, what it lacks, what the next step costs: for the report, the
page and `show`), then `position` (a ladder in short). The questions stand in `lab/claims.py`; how candidates are chosen
for more steps, which is another ladder, in `lab/halving.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from move37.lab.claims import BASELINE, QUESTIONS, SEEDS, WORDS, against, asking_seconds, run_seconds, words_of
from move37.lab.numbers import scale_of
from move37.lab.records import Comparison, Experiment, ExperimentStatus, Measurement, Metric

GATES_SECONDS, SCREEN_SECONDS, CLIMB_SECONDS = 2.0, 8.0, 30.0  # of one core


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceStep:
    """One rung of the ladder of evidence."""

    name: str
    words: str
    state: str  # "reached", "failed" or "open"
    detail: str = ""  # the number behind it
    core_seconds: float = 0.0  # that asking costs; 0 where it is answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A candidate's place on the ladder of evidence."""

    reached: int  # rungs
    of: int
    failed: tuple[str, ...]  # what was asked and not shown, in words
    lacks: tuple[str, ...]  # what was not asked, in words
    next: EvidenceStep | None  # the first of these; None where something failed, or nothing lacks


def position(ladder: Sequence[EvidenceStep]) -> Position:
    """A ladder in short: a failed rung ends it, whatever else could be asked."""
    failed = tuple(s.words for s in ladder if s.state == "failed")
    still = [s for s in ladder if s.state == "open"]
    return Position(
        reached=sum(s.state == "reached" for s in ladder),
        of=len(ladder),
        failed=failed,
        lacks=tuple(s.words for s in still),
        next=still[0] if still and not failed else None,
    )


def ladder_of(experiment: Experiment, metric: Metric) -> tuple[EvidenceStep, ...]:
    """Every rung of evidence for one experiment, from the gates to the last question, lowest first."""
    gone = experiment.status in (ExperimentStatus.FAILED, ExperimentStatus.REJECTED)
    shut = [g.name for g in experiment.gates if g.passed is False]
    screened = [m for m in experiment.measurements if m.metric == metric.name and not m.fresh and m.is_sound]
    most = max((m.steps for m in screened), default=0)
    whole = any(m.steps >= m.total_steps for m in screened)  # scales differ in their last step
    steps = [
        _step("gates", "passes every gate", bool(experiment.gates) and not shut, bool(shut), ", ".join(shut),
              GATES_SECONDS),
        _step("screen", "is measured on one seed", bool(screened), gone and not screened, _best(screened, metric),
              SCREEN_SECONDS),
        _step("climb", "is measured at all its steps", whole, gone and not whole, f"{most} steps" if most else "",
              CLIMB_SECONDS),
    ]  # fmt: skip
    return (*steps, *(_question(experiment, q, metric, gone) for q in QUESTIONS))


def _question(experiment: Experiment, question: str, metric: Metric, gone: bool) -> EvidenceStep:
    claim, verdict = experiment.claim, experiment.verdict
    found: list[Comparison] = [c for c in (claim.comparisons if claim else ()) if c.question == question]
    if not found and question == BASELINE and verdict is not None:
        found = list(verdict.comparisons)
    held = bool(found) and all(c.holds for c in found)
    detail = "; ".join(against(c, metric) for c in found)
    return _step(
        question, words_of(found[0]) if found else WORDS[question], held, (bool(found) and not held) or gone, detail,
        asking_seconds(question, seeds=SEEDS, run_seconds=run_seconds(experiment, metric)),
    )  # fmt: skip


def _step(name: str, words: str, reached: bool, failed: bool, detail: str, cost: float) -> EvidenceStep:
    state = "reached" if reached else "failed" if failed else "open"
    return EvidenceStep(
        name=name, words=words, state=state, detail=detail, core_seconds=cost if state == "open" else 0.0
    )


def _best(measurements: Sequence[Measurement], metric: Metric) -> str:
    values = [m.value for m in measurements]
    if not values:
        return ""
    best = max(values) if metric.higher_is_better else min(values)
    return f"{scale_of(metric.name, values).text(best)} {metric.unit}"
