"""The search itself, pure: from parents, the archive's record, memory's advice and the user's wishes to one new
genome.

An operator's score is its mean gain over the parents that it was put into, shrunk towards the grammar's prior as
if that were two experiments (`scores`). Moves are drawn with weight exp(score / temperature): an operator that is
absent is put in with that weight, one that is present is taken out with its inverse. Memory's and the user's words
multiply weights. Read `draw`. Not covered: any model of interactions between operators; crossover is what carries
those on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from move37.agents.search.catalogue import CATALOGUE
from move37.agents.search.grammar import BASELINES, Genome, operators_in
from move37.agents.search.operators import OPERATORS, REPEATABLE, crossover, put, take
from move37.agents.search.wishes import Wishes

PRIOR_WEIGHT = 2.0  # experiments that the prior counts for
TEMPERATURE = 0.05  # in the metric's unit: a score this much better is e times as likely
CROSSOVER_CHANCE = 0.35
ADVICE = 2.5  # what memory's mention of an operator multiplies its weight by
DIRECTION = 4.0  # likewise for the brief's words
TAKING = 0.4  # taking out is rarer than putting in
TRIES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParent:
    """A parent whose genome could be read."""

    id: str
    name: str
    genome: Genome


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What weights the draw."""

    record: Mapping[str, tuple[int, float]] = field(default_factory=dict)  # operator -> (tried, mean gain)
    advice: Mapping[str, float] = field(default_factory=dict)  # operator -> factor, from recollections
    direction: Wishes = field(default_factory=Wishes)  # the brief's words: they weigh, and rule out
    wishes: Wishes = field(default_factory=Wishes)  # the user's words: one of them is put in, and they rule out
    avoid: frozenset[str] = frozenset()  # operators that an objection named
    tried: frozenset[Genome] = frozenset()
    baselines: frozenset[Genome] = frozenset(BASELINES.values())  # measured anyway: never drawn
    unprimed: frozenset[str] = frozenset()  # operators whose prior is forgotten: what a study hides from the search


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One new genome, and how it came about."""

    genome: Genome
    base: SearchParent
    other: SearchParent | None = None  # the second parent, when crossover was used
    put_in: tuple[str, ...] = ()
    taken_out: tuple[str, ...] = ()

    @property
    def gained(self) -> tuple[str, ...]:
        """Operators that the new genome has and its first parent has not."""
        before = operators_in(self.base.genome)
        return tuple(o for o in operators_in(self.genome) if o not in before)

    @property
    def lost(self) -> tuple[str, ...]:
        """Operators that only its first parent has."""
        after = operators_in(self.genome)
        return tuple(o for o in operators_in(self.base.genome) if o not in after)


def scores(record: Mapping[str, tuple[int, float]], unprimed: Collection[str] = ()) -> dict[str, float]:
    """Expected gain of each operator over the parent, in the metric's unit; the prior of `unprimed` ones is zero."""
    found = {}
    for name, lore in CATALOGUE.items():
        tried, gain = record.get(name, (0, 0.0))
        prior = 0.0 if name in unprimed else lore.prior
        found[name] = (PRIOR_WEIGHT * prior + tried * gain) / (PRIOR_WEIGHT + tried)
    return found


def draw(parents: Sequence[SearchParent], known: Knowledge, rng: Random, *, boldness: int = 0) -> Draw | None:
    """A valid genome that was never tried, or None when none was found. `boldness` adds moves (after an objection)."""
    pool = list(parents) or _strangers(known, rng)
    gain = scores(known.record, known.unprimed)
    banned = {*known.wishes.unwanted, *known.direction.unwanted, *known.avoid} - {*known.wishes.wanted}
    taken = known.tried | known.baselines
    for attempt in range(TRIES):
        # After many collisions the neighbourhood is exhausted: go further.
        steps = 1 + boldness + attempt // 60 + (rng.random() < 0.35) + (rng.random() < 0.1)
        found = _drawn(pool, known, gain, banned, steps, rng)
        if found is None or found.genome in taken:
            continue
        if attempt < TRIES // 2 and not _heeds(found.genome, known, banned):
            continue
        return found
    return None


def _drawn(
    pool: Sequence[SearchParent],
    known: Knowledge,
    gain: Mapping[str, float],
    banned: Collection[str],
    steps: int,
    rng: Random,
) -> Draw | None:
    base, other = pool[0], None
    if len(pool) > 1 and rng.random() < 0.25:
        base = pool[1]
    genome = base.genome
    rivals = [p for p in pool if p is not base and p.genome != genome]
    if rivals and rng.random() < CROSSOVER_CHANCE:
        other = rng.choice(rivals)
        crossed = crossover(genome, other.genome, rng)
        genome, other = (crossed, other) if crossed is not None else (genome, None)
        steps -= 1
    put_in: list[str] = []
    taken_out: list[str] = []
    wanted = [o for o in known.wishes.wanted if o not in operators_in(genome)]
    if wanted:
        asked = rng.choice(wanted)
        if (moved := put(asked, genome, rng)) is not None:
            genome, steps = moved, steps - 1
            put_in.append(asked)
    for unwanted in sorted({*banned} & {*operators_in(genome)}):
        genome = take(unwanted, genome, rng) or genome
    for _ in range(max(0, steps)):
        name, inward = _move(genome, known, gain, banned, rng)
        if (moved := (put if inward else take)(name, genome, rng)) is not None:
            genome = moved
            (put_in if inward else taken_out).append(name)
    if genome == base.genome:
        return None
    return Draw(genome=genome, base=base, other=other, put_in=tuple(put_in), taken_out=tuple(taken_out))


def _move(
    genome: Genome, known: Knowledge, gain: Mapping[str, float], banned: Collection[str], rng: Random
) -> tuple[str, bool]:
    present = operators_in(genome)
    moves: list[tuple[str, bool]] = []
    weights: list[float] = []
    for name in OPERATORS:
        favour = known.advice.get(name, 1.0) * (DIRECTION if name in known.direction.wanted else 1.0)
        strength = math.exp(max(-4.0, min(4.0, gain[name] / TEMPERATURE)))
        if name not in banned and (name not in present or name in REPEATABLE):
            moves.append((name, True))
            weights.append(strength * favour)
        if name in present:
            moves.append((name, False))
            weights.append(TAKING / (strength * favour))
    return rng.choices(moves, weights)[0]


def _heeds(genome: Genome, known: Knowledge, banned: Collection[str]) -> bool:
    present = {*operators_in(genome)}
    asked = {*known.wishes.wanted}
    return not present & {*banned} and (not asked or bool(present & asked))


def _strangers(known: Knowledge, rng: Random) -> list[SearchParent]:
    """No parent could be read: begin from two of the families that the lab measures anyway."""
    gain = scores(known.record, known.unprimed)
    names = sorted(BASELINES)
    weights = [math.exp(sum(gain[o] for o in operators_in(BASELINES[n])) / TEMPERATURE / 4) for n in names]
    first = rng.choices(names, weights)[0]
    second = rng.choice([n for n in names if n != first])
    return [SearchParent(id=n, name=n, genome=BASELINES[n]) for n in (first, second)]
