"""Ways to search the grammar, side by side: what `move37 compare` gives equal compute. Pure but for the optimisers.

    designer        the lab's evolutionary search with its record of operators
    no-memory       the same, without the record
    random          uniform over families and moves
    keep-if-lower   one champion, one random move, kept if a single run is lower
    tpe             Optuna's TPE over the family and every operator
    cma-es          CMA-ES with a margin over the same, as numbers

Each proposes the next genome from the baselines and its own history. Dialogues and papers are parts of campaigns only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Protocol

from move37.agents.optimisers import TRIES, CmaEs, Tpe, is_new
from move37.agents.record import operator_facts
from move37.agents.search.evolution import Knowledge, SearchParent, draw
from move37.agents.search.grammar import BASELINES, Genome, operators_in
from move37.agents.search.operators import OPERATORS, put, take
from move37.lab.parents import TEMPERATURE
from move37.lab.principles import OperatorRecord, Trial
from move37.lab.statistics.noise import effect_noise
from move37.lab.tasks.registry import DEFAULT, kind_of

MOST_MOVES = 6  # of a random genome


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A genome that was screened; no value where its run failed or diverged."""

    genome: Genome
    value: float | None  # in the metric's unit, lower is better
    base: Genome | None = None  # what it was made from
    gain: float | None = None  # over the best baseline at the most steps that it was trained for; None: not known
    whole: float | None = None  # as `value`, after all steps; None: not trained so far, or it diverged there

    @property
    def rank(self) -> tuple[float, float]:
        """Sorts the best first: by gain, as a campaign's parents are; where none is known, by value."""
        return (-self.gain if self.gain is not None else 0.0, self.value if self.value is not None else math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """The next genome, and what it was made from."""

    genome: Genome
    base: Genome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """Where an arm begins and what it is not told."""

    starts: Mapping[str, Genome] = field(default_factory=lambda: BASELINES)
    carried: frozenset[str] = frozenset()  # operators that only their own move may add, never a family's defaults
    metric: str = kind_of(DEFAULT).metric.name  # of the values that an arm is told
    noise: float | None = None  # standard deviation of one effect, in the metric's unit; None: `effect_noise` says it


GRAMMAR = SearchSpace()  # the whole of it


class SearchArm(Protocol):
    """One way to search."""

    def propose(self, tried: Sequence[Tried], rng: Random) -> Proposed | None:
        """The next genome after `tried`, the baselines first among them; None when nothing new was found."""
        ...


class RandomArm:
    """Uniform over families, then up to six uniform moves."""

    def __init__(self, space: SearchSpace = GRAMMAR) -> None:
        self._space = space

    def propose(self, tried: Sequence[Tried], rng: Random) -> Proposed | None:
        """See `SearchArm`."""
        for _ in range(TRIES):
            genome = self._space.starts[rng.choice(tuple(self._space.starts))]
            for _ in range(rng.randint(1, MOST_MOVES)):
                genome = _moved(genome, rng, self._space.carried) or genome
            if _new(genome, tried):
                return Proposed(genome=genome)
        return None


class KeepIfLower:
    """One champion; its child replaces it when one run is lower."""

    def propose(self, tried: Sequence[Tried], rng: Random) -> Proposed | None:
        """See `SearchArm`."""
        champion = min((t for t in tried if t.value is not None), key=lambda t: t.value or math.inf, default=None)
        genome = champion.genome if champion else BASELINES[rng.choice(tuple(BASELINES))]
        for attempt in range(TRIES):
            child = _moved(genome, rng)
            for _ in range(attempt // 50):
                child = _moved(child, rng) if child is not None else None
            if child is not None and _new(child, tried):
                return Proposed(genome=child, base=genome)
        return None


class Designer:
    """The lab's search, with its record of operators or by chance from its parents."""

    def __init__(self, *, with_record: bool, space: SearchSpace = GRAMMAR) -> None:
        self._with_record, self._space = with_record, space

    def propose(self, tried: Sequence[Tried], rng: Random) -> Proposed | None:
        """See `SearchArm`."""
        ranked = sorted((t for t in tried if t.value is not None), key=lambda t: t.rank)
        parents: list[SearchParent] = []
        pool = list(enumerate(ranked))
        while pool and len(parents) < 2:
            rank, chosen = rng.choices(pool, [math.exp(-rank / TEMPERATURE) for rank, _ in pool])[0]
            pool = [entry for entry in pool if entry[0] != rank]
            parents.append(SearchParent(id=str(rank), name=str(rank), genome=chosen.genome))
        space = self._space
        record = _record(tried if self._with_record else (), space)
        known = Knowledge(
            scale=record.scale,
            record=operator_facts(record),
            adding=record.adding,
            tried=frozenset(t.genome for t in tried),
            baselines=frozenset(space.starts.values()),
        )
        for _ in range(TRIES):
            if (found := draw(parents, known, rng)) is None:
                return None
            given = [found.base.genome, *([found.other.genome] if found.other else [])]
            asked = {*found.put_in, *(o for genome in given for o in operators_in(genome))}
            genome = without_unasked(found.genome, asked, space.carried)
            if genome not in given and _new(genome, tried):
                return Proposed(genome=genome, base=found.base.genome)
        return None


class Optimiser:
    """An optimiser from outside, which knows nothing but genomes and their values."""

    def __init__(self, optimiser: Tpe | CmaEs) -> None:
        self._optimiser = optimiser

    def propose(self, tried: Sequence[Tried], rng: Random) -> Proposed | None:
        """See `SearchArm`."""
        genome = self._optimiser.next({t.genome: t.value for t in tried})
        return Proposed(genome=genome) if genome is not None else None


ARMS: dict[str, Callable[[int], SearchArm]] = {
    "designer": lambda seed: Designer(with_record=True),
    "random": lambda seed: RandomArm(),
    "tpe": lambda seed: Optimiser(Tpe(seed)),
    "cma-es": lambda seed: Optimiser(CmaEs(seed)),
    "keep-if-lower": lambda seed: KeepIfLower(),
    "no-memory": lambda seed: Designer(with_record=False),
}


def without_unasked(genome: Genome, asked: Collection[str], carried: Collection[str]) -> Genome:
    """`genome` less the `carried` operators that were not asked for: they came with a family's default settings."""
    for name in sorted(({*carried} & {*operators_in(genome)}) - {*asked}):
        genome = take(name, genome, Random(0)) or genome
    return genome


def _record(tried: Sequence[Tried], space: SearchSpace) -> OperatorRecord:
    """The regression over all changes."""
    by_genome, trials = {t.genome: t for t in tried}, []
    for number, t in enumerate(tried):
        base = by_genome.get(t.base) if t.base is not None else None
        if base is None or (effect := _effect(t, base)) is None:
            continue
        now, then = frozenset(operators_in(t.genome)), frozenset(operators_in(base.genome))
        trials.append(Trial(experiment=str(number), family=t.genome.family, gained=now - then, lost=then - now,
                            effect=effect, standard_error=0.0))  # fmt: skip
    noise = space.noise or effect_noise(space.metric, [t.effect for t in trials])
    return OperatorRecord([replace(t, standard_error=noise) for t in trials], noise)


def _effect(one: Tried, base: Tried) -> float | None:
    """The gain over what it was made from, after the most steps that both have: the rule of `lab/effects.py`."""
    points = ((one.whole, base.whole), (one.value, base.value))
    return next((theirs - ours for ours, theirs in points if ours is not None and theirs is not None), None)


def _moved(genome: Genome, rng: Random, carried: Collection[str] = ()) -> Genome | None:
    name = rng.choice(tuple(OPERATORS))
    if name in operators_in(genome):
        return take(name, genome, rng)
    moved = put(name, genome, rng)
    return moved and without_unasked(moved, {name, *operators_in(genome)}, carried)


def _new(genome: Genome, tried: Sequence[Tried]) -> bool:
    return is_new(genome, [t.genome for t in tried])
