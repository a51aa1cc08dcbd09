"""The search itself, pure: from parents, the archive's record, memory's advice and the user's preferences to one new
genome.

An operator's score is what the record says of putting it in, and what putting in any operator does where nobody tried
it (`scores`). A draw makes one to six moves. Every operator's worth is sampled once from its posterior (Thompson
sampling, 1933): that of an untried operator is wide, so it is tried before one that is known to do little. The best
moves are made: an absent operator is put in, or a present one that seems harmful is taken out. One that the genome
cannot take is reached in two (`_reached`): an operator is as likely to be tried as others are, however few genomes it
applies to. Draws of one to three moves, of those that the record expected most of, lost less often and found less
(docs/figures).

Worths are in scales: how large operators' effects usually are in this metric. So a draw is the same whatever unit a
metric is written in. What memory and the user say about an operator is added to its worth. Read `draw`. Not covered:
any model of interactions between operators; crossover carries those on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from move37.agents.research_context import OperatorFacts
from move37.agents.search.grammar import BASELINES, Genome, operators_in
from move37.agents.search.operators import OPERATORS, REPEATABLE, crossover, put, take
from move37.agents.search.preferences import Preferences

CROSSOVER_CHANCE = 0.35
DIRECTION = 1.4  # the brief's words add this to an operator's worth, in scales
TAKING = 0.9  # by so much taking out has to be worth more than putting in, in scales
MOST_MOVES = 6  # of one draw
UNSEEN_SD = 1.1  # of an operator that was never changed, in scales: its main effect and its family's part
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

    scale: float  # standard deviation of operators' effects, in the metric's unit
    record: Mapping[str, OperatorFacts] = field(default_factory=dict)  # what was measured of operators
    adding: float = 0.0  # what putting in any operator does, in the metric's unit: what is expected of an untried one
    advice: Mapping[str, float] = field(default_factory=dict)  # operator -> what memory adds to its worth, in scales
    direction: Preferences = field(default_factory=Preferences)  # the brief's words: they weigh, and rule out
    preferences: Preferences = field(default_factory=Preferences)  # the user's: one is put in, and they rule out
    avoid: frozenset[str] = frozenset()  # operators that an objection named
    tried: frozenset[Genome] = frozenset()
    baselines: frozenset[Genome] = frozenset(BASELINES.values())  # measured anyway: never drawn


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


def scores(known: Knowledge) -> dict[str, float]:
    """Expected gain of putting in each operator, in the metric's unit."""
    return {o: known.record[o].mean_effect if o in known.record else known.adding for o in OPERATORS}


def change(gain: Mapping[str, float], adding: float, *, gained: Collection[str], lost: Collection[str]) -> float:
    """Expected effect of a change, where `gain` is that of putting in.

    Taking out costs what the operator itself is worth, without what putting in any operator does.
    """
    return math.fsum(gain.get(o, adding) for o in gained) - math.fsum(gain.get(o, adding) - adding for o in lost)


@dataclass(frozen=True, slots=True)
class GainEstimate:
    """The posterior of one operator's gain, in scales."""

    mean: float
    sd: float


def _estimates(known: Knowledge) -> dict[str, GainEstimate]:
    unit, record = known.scale, known.record
    return {
        name: GainEstimate(score / unit, record[name].sd / unit if name in record else UNSEEN_SD)
        for name, score in scores(known).items()
    }


def draw(parents: Sequence[SearchParent], known: Knowledge, rng: Random, *, boldness: int = 0) -> Draw | None:
    """A valid genome that was never tried, or None when none was found. `boldness` adds moves (after an objection)."""
    gain = _estimates(known)
    pool = list(parents) or _strangers(known, rng)
    banned = {*known.preferences.unwanted, *known.direction.unwanted, *known.avoid} - {*known.preferences.wanted}
    taken = known.tried | known.baselines
    for attempt in range(TRIES):
        # After many collisions the near genomes have all been tried: make more moves.
        steps = rng.randint(1, MOST_MOVES) + boldness + attempt // 60
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
    gain: Mapping[str, GainEstimate],
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
    failed: list[str] = []
    worths = _worths(known, gain, rng)
    wanted = [o for o in known.preferences.wanted if o not in operators_in(genome)]
    if wanted:
        asked = rng.choice(wanted)
        if (reached := _reached(asked, genome, worths, banned, rng)) is not None:
            genome, steps = reached[0], steps - 1
            put_in += reached[1]
    for unwanted in sorted({*banned} & {*operators_in(genome)}):
        genome = take(unwanted, genome, rng) or genome
    for _ in range(max(0, steps)):
        moved = {*put_in, *taken_out, *failed}
        name, inward = _move(genome, worths, known, banned, moved, rng)
        if inward and (reached := _reached(name, genome, worths, {*banned, *moved}, rng)) is not None:
            genome = reached[0]
            put_in += reached[1]
        elif not inward and (without := take(name, genome, rng)) is not None:
            genome = without
            taken_out.append(name)
        else:
            failed.append(name)
    if genome == base.genome:
        return None
    return Draw(genome=genome, base=base, other=other, put_in=tuple(put_in), taken_out=tuple(taken_out))


def _worths(known: Knowledge, gain: Mapping[str, GainEstimate], rng: Random) -> dict[str, float]:
    """One sample of every operator's worth, in scales, with what memory and the user say about it.

    What memory says is a prior's mean, of which measurements leave as much as they leave of the prior's variance.
    """
    return {
        name: rng.gauss(gain[name].mean, gain[name].sd)
        + known.advice.get(name, 0.0) * min(1.0, (gain[name].sd / UNSEEN_SD) ** 2)
        + (DIRECTION if name in known.direction.wanted else 0.0)
        for name in OPERATORS
    }


def _move(
    genome: Genome,
    worths: Mapping[str, float],
    known: Knowledge,
    banned: Collection[str],
    moved: Collection[str],
    rng: Random,
) -> tuple[str, bool]:
    """The best operator that was not `moved` yet, and whether it is put in."""
    present, adding = operators_in(genome), known.adding / known.scale
    found, best = ("", True), -math.inf
    for name in (o for o in OPERATORS if o not in moved):
        worth = worths[name]
        if name in present:
            if adding - worth - TAKING > best:
                found, best = (name, False), adding - worth - TAKING
            # It is present and comes a second time or in another size, of which its measured effect says nothing.
            worth = rng.gauss(adding, UNSEEN_SD) - TAKING if name in REPEATABLE else -math.inf
        if name not in banned and worth > best:
            found, best = (name, True), worth
    return found


def _reached(
    name: str, genome: Genome, worths: Mapping[str, float], barred: Collection[str], rng: Random
) -> tuple[Genome, tuple[str, ...]] | None:
    """`genome` with operator `name` in it, and what was put in for that.

    Where it does not apply, it follows the operator of most worth, none of the `barred`, that makes it possible.
    """
    if (moved := put(name, genome, rng)) is not None:
        return moved, (name,)
    present = {*operators_in(genome)}
    firsts = () if name in present else [o for o in OPERATORS if o not in present and o not in barred]
    for first in sorted(firsts, key=lambda o: -worths[o]):
        before = put(first, genome, rng)
        if before is None:
            continue
        after = before if name in operators_in(before) else put(name, before, rng)
        if after is not None and first in operators_in(after):
            return after, (first, name)
    return None


def _heeds(genome: Genome, known: Knowledge, banned: Collection[str]) -> bool:
    present = {*operators_in(genome)}
    asked = {*known.preferences.wanted}
    return not present & {*banned} and (not asked or bool(present & asked))


def _strangers(known: Knowledge, rng: Random) -> list[SearchParent]:
    """Two baselines as parents, where no parent's genome could be read."""
    names, gain = sorted(BASELINES), scores(known)
    worth = {n: math.fsum(gain[o] - known.adding for o in operators_in(BASELINES[n])) / known.scale for n in names}
    weights = [math.exp(worth[n] / 4) for n in names]
    first = rng.choices(names, weights)[0]
    second = rng.choice([n for n in names if n != first])
    return [SearchParent(id=n, name=n, genome=BASELINES[n]) for n in (first, second)]
