"""The candidate without its new part: for a plan its new operators, for code without a plan the whole change.

For a plan of the grammar, every operator that the candidate has and its base has not is taken out again, one after the
other; what else differs stays. For code that a model or a user wrote, the part is the change itself, so that the
ablation is the base's own file.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice, permutations
from random import Random

from move37.agents.search.codegen import emit, genome_of
from move37.agents.search.grammar import BASELINES, Genome, operators_in
from move37.agents.search.operators import take
from move37.lab.records import Candidate, Experiment, Role

ORDERS = 120  # orders of taking operators out that are tried at most: all those of five operators


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """What was taken out, and the file without it."""

    candidate: Candidate
    part: str  # in words
    operators: tuple[str, ...] = ()  # of the grammar, that the part consists of


def ablated(experiment: Experiment, base: Experiment | None) -> Ablation | None:
    """The experiment's candidate without what its base lacks; None where there is nothing to take out."""
    if experiment.candidate is None or base is None or base.candidate is None:
        return None
    change = experiment.hypothesis.change if experiment.hypothesis else experiment.name
    mine, theirs = genome_of(experiment.candidate.source), _genome(base)
    if mine is not None and theirs is not None:
        gained = tuple(o for o in operators_in(mine) if o not in operators_in(theirs))
        without = _without(mine, gained, {*operators_in(mine), *operators_in(theirs)})
        if without is not None:
            return Ablation(
                candidate=Candidate(
                    source=emit(
                        without, name=f"{experiment.name}, ablated", motivation=f"Without {', '.join(gained)}."
                    ),
                    author="the lab",
                    family=without.family,
                ),
                part=", ".join(gained),
                operators=gained,
            )
    if base.candidate.source == experiment.candidate.source:
        return None
    candidate = Candidate(source=base.candidate.source, author="the lab", family=base.candidate.family)
    return Ablation(candidate=candidate, part=change)


def _genome(base: Experiment) -> Genome | None:
    if base.role is Role.BASELINE:
        return BASELINES.get(base.family)
    return genome_of(base.candidate.source) if base.candidate else None


def _without(genome: Genome, gained: tuple[str, ...], known: Collection[str]) -> Genome | None:
    """The genome without `gained`, and without anything beyond the `known` operators of both; None where no order can.

    Without an operator a mixer may exceed the parameter limit; then `fit` removes something that belongs to neither, in
    some orders and not in others.
    """
    for order in islice(permutations(gained), ORDERS):
        found = genome
        for name in order:
            found = take(name, found, Random(0)) or found
        if found != genome and {*operators_in(found)} <= {*known}:
            return found
    return None
