"""Insight over an archive: the grammar's operators, the search's draws and the papers around `lab/insight.py`.

Read `insight_of`. A file that a language model wrote has no genome: its operators are those whose kernels it calls
(`codegen.operators_of`), and where none is recognised it is left out, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from move37.agents import record
from move37.agents.ledger import source_of
from move37.agents.search import operators_of
from move37.agents.search.evolution import Knowledge, draw
from move37.lab.effects import base_of
from move37.lab.insight import (
    ComponentEffect,
    Origin,
    Surprise,
    Trait,
    origins_of,
    surprises_of,
    traits_of,
)
from move37.lab.records import Experiment, ExperimentStatus, Metric, Role
from move37.lab.statistics.growth import Tally
from move37.lab.statistics.growth_laws import GrowthLaw, compare_laws
from move37.memory.papers import builtin_entries

DRAWS = 400  # of the search without a record, to compare with
DEVIATIONS = 1.96
CONFIRMED, BETTER = "discoveries (claims that stand)", "better on fresh seeds"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmGrowth:
    """One author's campaigns over compute."""

    author: str  # the brief's model
    quantity: str  # what is counted
    law: GrowthLaw


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveInsight:
    """Everything that is told."""

    candidates: int
    unrecognised: int  # written, and using no operator that is known: left out of effects, traits and surprises
    components: tuple[ComponentEffect, ...]  # best first
    origins: tuple[Origin, ...]
    traits: tuple[Trait, ...]
    surprises: tuple[Surprise, ...]  # the "Move 37" list
    growth: tuple[ArmGrowth, ...]


def insight_of(experiments: Sequence[Experiment], metric: Metric, authors: dict[int, str]) -> ArchiveInsight:
    """What the experiments of one task teach. `authors`: campaign -> the model of its brief."""
    candidates = [e for e in experiments if e.role is Role.CANDIDATE]
    operators = {e.id: frozenset(operators_of(source_of(e))) for e in experiments if e.candidate is not None}
    readable = _readable(experiments, operators)
    known = record.operator_record(readable, metric, operators_of)
    trials = {t.experiment: t for t in record.trials(readable, metric, operators_of)}
    effects = {ident: t.effect for ident, t in trials.items()}
    changed = sorted({o for t in known.trials for o in t.gained | t.lost})
    components = []
    for operator in changed:
        mean, sd = known.effect(frozenset({operator}), frozenset(), "")
        components.append(
            ComponentEffect(
                operator=operator, mean=mean, low=mean - DEVIATIONS * sd, high=mean + DEVIATIONS * sd,
                trials=sum(operator in t.gained | t.lost for t in known.trials),
            )
        )  # fmt: skip
    return ArchiveInsight(
        candidates=len(candidates),
        unrecognised=sum(not operators.get(e.id, "-") for e in candidates),
        components=tuple(sorted(components, key=lambda c: -c.mean)),
        origins=origins_of(candidates, effects),
        traits=traits_of(candidates, operators),
        surprises=surprises_of(
            candidates,
            operators=operators,
            gained={ident: t.gained for ident, t in trials.items()},
            effects=effects,
            draws=_habits(),
            papers=tuple(frozenset(entry.operators) for entry in builtin_entries() if entry.operators),
        ),
        growth=growth_of(experiments, authors),
    )


def _readable(experiments: Sequence[Experiment], operators: Mapping[str, frozenset[str]]) -> tuple[Experiment, ...]:
    """Those with known operators; without their base where its own are unknown, or all would count as gained."""
    found = []
    for e in experiments:
        base = base_of(e, experiments)
        alone = base is not None and not operators.get(base.id)
        hypothesis = replace(e.hypothesis, base="") if e.hypothesis is not None else None
        if operators.get(e.id):
            found.append(replace(e, parents=(), hypothesis=hypothesis, effects=None) if alone else e)
    return tuple(found)


def growth_of(experiments: Sequence[Experiment], authors: dict[int, str]) -> tuple[ArmGrowth, ...]:
    """Each author's campaigns: what was found after how many core-seconds of its candidates' own runs."""
    found = []
    for author in dict.fromkeys(authors.values()):
        for quantity in (CONFIRMED, BETTER):
            tallies = [
                tally
                for number, whose in authors.items()
                if whose == author and (tally := _tally(number, experiments, quantity)).until > 0.0
            ]
            law = compare_laws(tallies) if tallies else None
            if law is not None:
                found.append(ArmGrowth(author=author, quantity=quantity, law=law))
    return tuple(found)


def _tally(campaign: int, experiments: Sequence[Experiment], quantity: str) -> Tally:
    spent, when = 0.0, []
    for e in experiments:
        if e.campaign == campaign and e.role is Role.CANDIDATE:
            spent += sum(m.cpu_seconds for m in e.measurements) + (e.claim.core_seconds if e.claim else 0.0)
            if e.status is ExperimentStatus.CONFIRMED if quantity == CONFIRMED else _is_better(e):
                when.append(spent)
    return Tally(campaign=str(campaign), found=tuple(when), until=spent)


def _is_better(experiment: Experiment) -> bool:
    met = experiment.verdict.comparisons if experiment.verdict else ()
    return bool(met) and all(c.holds for c in met)


@cache
def _habits() -> tuple[frozenset[str], ...]:
    """Operators that the search adds to its baselines without any record; the draws are always the same."""
    rng = Random("the search's own habits")
    found = (draw((), Knowledge(scale=1.0), rng) for _ in range(DRAWS))
    return tuple(frozenset(d.gained) for d in found if d is not None)
