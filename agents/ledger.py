"""Experiments as rows of a research context: ledger, leaderboard, parents with diffs, ideas. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence

from move37.agents.research_context import IdeaFacts, InFlight, LeaderboardRow, LedgerRow, ParentFacts
from move37.lab.archive.codec import decode
from move37.lab.claims import claim_lesson, shortfall
from move37.lab.effects import base_of, effects_of
from move37.lab.halving import standing
from move37.lab.records import (
    SCREEN,
    Effects,
    Experiment,
    ExperimentStatus,
    Hypothesis,
    Measurement,
    Metric,
    Role,
    Stage,
)  # fmt: skip

OperatorsOf = Callable[[str], Sequence[str]]  # source -> operators of the grammar
SHOWN = 10  # rows of a leaderboard
DIFF_LINES = 200  # of a diff that is worth showing


def ledger(experiments: Sequence[Experiment], metric: Metric) -> tuple[LedgerRow, ...]:
    """Every candidate that has ended and had a hypothesis, oldest first."""
    ended = [e for e in candidates(experiments) if e.status is not ExperimentStatus.RUNNING and e.hypothesis]
    return tuple(_row(e, experiments, metric) for e in ended)


def _row(experiment: Experiment, experiments: Sequence[Experiment], metric: Metric) -> LedgerRow:
    assert experiment.hypothesis is not None
    known = known_effects(experiment, experiments, metric)
    base = base_of(experiment, experiments)
    refused = next((g for g in experiment.gates if g.passed is False), None)
    gate = f"gate {refused.name}: {refused.message}" if refused else ""
    analysis = experiment.analysis
    first = next((e for e in (known.parent, known.family, known.best) if e is not None), None)
    reason = experiment.reason if not gate else ""
    return LedgerRow(
        experiment=experiment.id,
        name=experiment.name,
        status=f"{experiment.status.value}{f' ({reason})' if reason else ''}",
        base=base.id if base else "",
        change=experiment.hypothesis.change,
        effects=known,
        steps=first.steps if first else 0,
        gate=gate,
        lesson=(analysis.lesson or analysis.seen) if analysis else "",
        claim=claimed(experiment, metric),
    )


def known_effects(experiment: Experiment, experiments: Sequence[Experiment], metric: Metric) -> Effects:
    """As stored with the verdict, else as the measurements say now."""
    if experiment.effects is not None:
        return experiment.effects
    return effects_of(experiment, experiments, metric) if experiment.measurements else Effects()


def candidates(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Those that are no baselines."""
    return [e for e in experiments if e.role is Role.CANDIDATE]


def screening(experiment: Experiment) -> tuple[Measurement, ...]:
    """What whoever proposes, writes or explains may read: what decides is told as a verdict and as effects alone."""
    return tuple(m for m in experiment.measurements if m.text == SCREEN and not m.fresh)


def leaderboard(experiments: Sequence[Experiment], metric: Metric) -> Mapping[int, tuple[LeaderboardRow, ...]]:
    """Screened values at each number of steps, best first; the best `SHOWN` of each."""
    found = {}
    steps = sorted({m.steps for e in experiments for m in screening(e) if m.metric == metric.name})
    for count in steps:
        standings = {_file(e): row for e in experiments if (row := _standing(e, metric, count)) is not None}
        rows = list(standings.values())
        rows.sort(key=lambda row: metric.gain(row.value, 0.0), reverse=True)
        found[count] = tuple(rows[:SHOWN])
    return found


def _file(experiment: Experiment) -> tuple[str, str]:
    # Each campaign of a home trains the same baselines: of equal ones the newest is told.
    source = source_of(experiment) if experiment.role is Role.BASELINE else ""
    return (experiment.family, source) if source else ("", experiment.id)


def _standing(experiment: Experiment, metric: Metric, steps: int) -> LeaderboardRow | None:
    own = screening(experiment)
    place = standing(experiment.id, own, metric=metric, steps=steps)
    if place is None or place.diverged:
        return None
    runs = [m for m in own if m.metric == metric.name and m.steps == steps]
    seconds = sum(m.train_seconds for m in runs) / len(runs)
    return LeaderboardRow(
        experiment=experiment.id,
        name=experiment.name,
        value=place.value,
        seeds=len({m.seed for m in runs}),
        is_baseline=experiment.role is Role.BASELINE,
        parameters=_parameters(experiment),
        seconds=seconds or None,
        probes={m.metric: m.value for m in experiment.measurements if m.rung == 1},
    )


def _parameters(experiment: Experiment) -> int | None:
    for record in experiment.stages:
        facts = record.payload.get("facts")
        if isinstance(facts, Mapping) and isinstance(facts.get("parameters"), int | float):
            return int(facts["parameters"])
    return None


def parent(experiment: Experiment, experiments: Sequence[Experiment], metric: Metric, *, why: str = "") -> ParentFacts:
    """A file to build on, with its own change and the effect of that."""
    values = [m for m in screening(experiment) if m.metric == metric.name and m.is_sound]
    latest = max(values, key=lambda m: m.steps, default=None)
    base = base_of(experiment, experiments) if experiment.role is Role.CANDIDATE else None
    return ParentFacts(
        id=experiment.id,
        name=experiment.name,
        family=experiment.family,
        is_baseline=experiment.role is Role.BASELINE,
        source=source_of(experiment),
        value=latest.value if latest else None,
        steps=latest.steps if latest else 0,
        effects=known_effects(experiment, experiments, metric),
        why=why,
        base=base.id if base else "",
        diff=diff(base, experiment) if base else "",
        next=experiment.analysis.next if experiment.analysis else "",
        claim=claimed(experiment, metric),
    )


def claimed(experiment: Experiment, metric: Metric) -> str:
    """What a claim found of it; "" where there is none."""
    return claim_lesson(experiment.claim, metric) if experiment.claim else ""


def source_of(experiment: Experiment) -> str:
    """Its file; "" where there is none."""
    return experiment.candidate.source if experiment.candidate else ""


def diff(old: Experiment, new: Experiment) -> str:
    """What `new` changed in `old`, as a unified diff; cut to `DIFF_LINES` whole lines."""
    lines = list(
        difflib.unified_diff(source_of(old).splitlines(), source_of(new).splitlines(), old.id, new.id, lineterm="", n=2)
    )
    more = f"\n({len(lines) - DIFF_LINES} more lines)" if len(lines) > DIFF_LINES else ""
    return "\n".join(lines[:DIFF_LINES]) + more


def best_candidate(experiments: Sequence[Experiment], metric: Metric) -> Experiment | None:
    """The candidate with the largest gain over the best baseline that no failed claim cut, the most steps first."""
    found = []
    for e in candidates(experiments):
        effect = known_effects(e, experiments, metric).best if e.candidate else None
        if effect is not None and e.status is not ExperimentStatus.FAILED:
            failed = shortfall(e)
            found.append(((effect.steps, effect.value if failed is None else min(effect.value, failed.effect)), e))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def in_flight(experiments: Sequence[Experiment], campaign: int) -> tuple[InFlight, ...]:
    """Accepted hypotheses whose numbers are not there yet."""
    return tuple(
        InFlight(experiment=e.id, name=e.hypothesis.name, change=e.hypothesis.change)
        for e in candidates(experiments)
        if e.campaign == campaign and e.status is ExperimentStatus.RUNNING and e.hypothesis is not None
    )


def unchosen(experiment: Experiment) -> tuple[IdeaFacts, ...]:
    """Ideas that were proposed in its negotiation and not chosen, in the Critic's order."""
    found = []
    for record in experiment.stages:
        ideas = record.payload.get("ideas") if record.stage == Stage.HYPOTHESIS else None
        for number, idea in enumerate(ideas if isinstance(ideas, list) else (), start=1):
            hypothesis = decode(Hypothesis, idea["hypothesis"])
            found.append(IdeaFacts(id=f"{experiment.id}.{number}", hypothesis=hypothesis, reason=str(idea["reason"])))
    return tuple(found)


def taken_up_by(idea: IdeaFacts, experiments: Sequence[Experiment]) -> str:
    """The experiment that took an idea up, or tried one of the same name; "" while nobody did."""
    for e in candidates(experiments):
        named = e.hypothesis is not None and e.hypothesis.name == idea.hypothesis.name
        if named or any(r.payload.get("idea") == idea.id for r in e.stages if r.stage == Stage.HYPOTHESIS):
            return e.id
    return ""


def pool(experiments: Sequence[Experiment]) -> tuple[IdeaFacts, ...]:
    """Ideas that were proposed and not chosen, and that nobody has taken up or tried under the same name since."""
    found = [idea for e in candidates(experiments) for idea in unchosen(e)]
    named = {idea.hypothesis.name: idea for idea in found}  # the newest of the same name
    return tuple(idea for idea in named.values() if not taken_up_by(idea, experiments))


def handed_over(text: str, experiments: Sequence[Experiment]) -> str:
    """What the user proposes: an idea of the pool in full where `text` is its id, else `text` itself."""
    idea = next((i for i in pool(experiments) if i.id == text.strip()), None)
    if idea is None:
        return text
    h = idea.hypothesis
    return f"Take up the idea [{idea.id}] {h.name}, from {h.base}: {h.change} Why: {h.motivation}"
