"""The ladder of evidence and the claim of one experiment, as sections: what is shown, what lacks, what asking costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from move37.app.views.shapes import Cell, Column, Section, Table, Tone
from move37.lab.claims import BASELINE, QUESTIONS, claim_lesson, claim_text, rates_of, words_of
from move37.lab.evidence_ladder import ladder_of, position
from move37.lab.numbers import scale_of
from move37.lab.records import Experiment, Metric, Role
from move37.lab.tasks.registry import asks_questions

_SIGNS: dict[str, tuple[str, Tone]] = {"reached": ("✓", "good"), "failed": ("✗", "bad"), "open": ("–", "quiet")}
_SQUARES = {"reached": "■", "failed": "✗", "open": "□"}
SQUARES = "Squares are the rungs of evidence, the lowest first: ■ reached, ✗ failed, □ not asked"


def evidence_section(experiment: Experiment, metric: Metric) -> Section:
    """Each rung of evidence; empty for baselines, and for programs, which are asked nothing beyond fresh seeds."""
    if not _has_ladder(experiment, metric):
        return Section(title="Evidence")
    columns = (Column("shown"), Column("evidence"), Column("core s", True), Column("shown by"))
    rows = tuple(
        (
            Cell(*_SIGNS[step.state]),
            Cell(step.words),
            Cell(f"{step.core_seconds:.0f}" if step.core_seconds else ""),
            Cell(step.detail, "quiet"),
        )
        for step in ladder_of(experiment, metric)
    )
    return Section(
        title="Evidence", table=Table(columns=columns, rows=rows, stacks=True), text=_standing(experiment, metric)
    )


def _standing(experiment: Experiment, metric: Metric) -> str:
    """Which rung is reached, what it lacks, and what the next step costs."""
    at = position(ladder_of(experiment, metric))
    said = [f"{at.reached} of {at.of} rungs reached."]
    if at.failed:
        said.append(f"Not shown: that it {'; that it '.join(at.failed)}. No further step is open.")
    elif at.next is not None:
        said.append(f"Lacking: that it {'; that it '.join(at.lacks)}.")
        how = f" (`move37 confirm {experiment.id}`)" if at.next.name in QUESTIONS else ""
        said.append(f"Next: that it {at.next.words}, about {at.next.core_seconds:.0f} core-seconds{how}.")
    return " ".join(said)


def ladder_signs(experiment: Experiment, metric: Metric) -> str:
    """The ladder as one sign a rung, for a line of the leaderboard; empty where there is none."""
    if not _has_ladder(experiment, metric):
        return ""
    return "".join(_SQUARES[s.state] for s in ladder_of(experiment, metric))


def rungs_shown(experiments: Iterable[Experiment], metric: Metric) -> tuple[str, ...]:
    """What each square stands for, in order; empty where no experiment has any."""
    shown = next((e for e in experiments if _has_ladder(e, metric)), None)
    return tuple(step.words for step in ladder_of(shown, metric)) if shown is not None else ()


def _has_ladder(experiment: Experiment, metric: Metric) -> bool:
    return experiment.role is Role.CANDIDATE and asks_questions(metric) and bool(experiment.measurements)


def shown_by(experiment: Experiment, metric: Metric) -> str:
    """The strongest that was found about it, in a sentence: its claim's, where one was asked, else its verdict's."""
    if experiment.claim is not None:
        return claim_lesson(experiment.claim, metric)
    return experiment.verdict.text if experiment.verdict is not None else ""


def height(experiment: Experiment) -> int:
    """How high its evidence stands, to put the strongest first.

    4 a claim that stands, 3 better on fresh seeds by its claim or its verdict, 2 measured on fresh seeds, 1 screened.
    """
    claim, verdict = experiment.claim, experiment.verdict
    if claim is not None and claim.stands:
        return 4
    if better_on_fresh_seeds(experiment):
        return 3
    return 2 if claim is not None or (verdict is not None and verdict.low is not None) else 1


def better_on_fresh_seeds(experiment: Experiment) -> bool:
    """Whether it beats every baseline that it was asked about; a claim, which is asked later, outweighs a verdict."""
    claim, verdict = experiment.claim, experiment.verdict
    if claim is not None and (asked := [c for c in claim.comparisons if c.question == BASELINE]):
        return all(c.holds for c in asked)
    return verdict is not None and verdict.low is not None and verdict.low > 0


def claims_section(experiments: Sequence[Experiment], metric: Metric) -> Section:
    """Every comparison of every claim that was asked; empty where none was."""
    asked = [(e, c) for e in experiments if e.claim is not None for c in e.claim.comparisons]
    columns = (
        Column("experiment"), Column("question"), Column("rival"), Column("gain", True), Column("interval", True),
        Column("seeds", True),
    )  # fmt: skip
    scale = scale_of(metric.name, [0.0, *(n for _, c in asked for n in (c.effect, c.low, c.high))])
    rows = []
    for e, c in asked:
        tone: Tone = "good" if c.holds else "bad"
        rates = f" (rates: {rates_of(c)})" if c.rates else ""
        cells = (e.id, words_of(c) + rates, c.name)
        bounds = scale.bounds(c.low, c.high, signed=True) or "none"
        numbers = (Cell(scale.signed(c.effect), tone), Cell(bounds, tone), Cell(str(c.seeds)))
        rows.append((*(Cell(text) for text in cells), *numbers))
    told = (f"{e.id} {e.name}: {claim_text(e.claim, metric)}" for e in experiments if e.claim is not None)
    found = Table(columns=columns, rows=tuple(rows), stacks=True)
    return Section(title="Claims", table=found if rows else None, text=" ".join(told))


def claim_section(experiment: Experiment, metric: Metric) -> Section:
    """The claim in a sentence, and whose best it had to beat; empty where none was asked."""
    if experiment.claim is None:
        return Section(title="Claim")
    tone: Tone = "good" if experiment.claim.stands else ""
    family = f" Of families: {experiment.claim.family}." if experiment.claim.family else ""
    return Section(title="Claim", text=claim_text(experiment.claim, metric) + family, tone=tone)
