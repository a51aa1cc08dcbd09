"""Draws parents, each with the reason: a pure function of the archive's records, the seed and the experiment's number.

Until a candidate has a number, baselines are drawn: by rank of their gain over the best one at equal steps (raw values
at different steps do not compare). From then on two rules, and at least one parent is a candidate:

    the first parent   upper confidence bound: gain over the best baseline + spread * sqrt(log(1 + N) / (1 + children)),
                       so that the best is built on most, and what was never built on gets its turn
    the second         MAP-Elites: the best of another cell (by default another family; the agents add the size of the
                       state), so that crossover has something to cross

A gain on the screening seed chose whom it measures. So who was asked on fresh seeds, and failed, stands no higher than
the least gain that it failed with (`claims.shortfall`): who beats the best baseline here and loses to it at twice the
width, or on a second corpus, is no best parent any more. Who held, or was not asked, keeps the gain of its screen.

Children that still run count too, so that concurrent experiments do not all build on one file.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from move37.lab.claims import shortfall, words_of
from move37.lab.halving import best_baseline, standing
from move37.lab.numbers import signed
from move37.lab.records import Experiment, ExperimentStatus, Metric, Role

TEMPERATURE = 2.5  # ranks; smaller is greedier
EXPLORATION = 1.0  # of the spread of gains; 0 is greedy
CellOf = Callable[[Experiment], tuple[str, ...]]  # the kind of mixer that an experiment is
ALIVE = (ExperimentStatus.MEASURED, ExperimentStatus.PROMOTED, ExperimentStatus.CONFIRMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A drawn parent."""

    experiment: str
    effect: float | None  # gain against the best baseline, positive is better; None while nothing is measured
    why: str  # one clause


def draw_key(seed: int, number: int, campaign: int) -> str:
    """What an experiment's draws are seeded by: those of one number differ between the campaigns of a home.

    A home's first campaign draws by the brief's seed alone, as it always did: what it did can be repeated anywhere.
    """
    return f"{seed}:{number}" if campaign == 1 else f"{seed}:{number}:c{campaign}"


def effect_of(experiment: Experiment, baselines: Sequence[Experiment], metric: Metric) -> float | None:
    """The gain over its campaign's best baseline at as many steps, each at its best rate; the most steps first.

    No more than a comparison on fresh seeds that does not hold has left of it.
    """
    screened, failed = _screened(experiment, baselines, metric), shortfall(experiment)
    return screened if failed is None or screened is None else min(screened, failed.effect)


def _screened(experiment: Experiment, baselines: Sequence[Experiment], metric: Metric) -> float | None:
    screened = {m.steps for m in experiment.measurements if m.metric == metric.name and not m.fresh}
    # Another campaign's may have been at another rate, which a calibration changed, or on another seed.
    baselines = [b for b in baselines if b.campaign == experiment.campaign] or baselines
    for steps in sorted(screened, reverse=True):
        own = standing(experiment.id, experiment.measurements, metric=metric, steps=steps)
        best = best_baseline({b.id: b.measurements for b in baselines}, metric=metric, steps=steps)
        rival = next((b for b in baselines if b.id == best), None)
        if own is None or own.diverged or rival is None:
            continue
        reference = standing(rival.id, rival.measurements, metric=metric, steps=steps)
        assert reference is not None  # it is the best by its standing
        return metric.gain(own.value, reference.value)
    return None


def draw_parents(
    experiments: Sequence[Experiment],
    *,
    metric: Metric,
    seed: int,
    number: int,
    count: int = 2,
    pinned: Sequence[str] = (),
    banned: Sequence[str] = (),
    cell_of: CellOf | None = None,
    campaign: int = 1,
) -> tuple[Parent, ...]:
    """Up to `count` parents for a campaign's experiment `number`: pinned ones first, banned ones never, none twice."""
    stands = standing_for(experiments)  # each campaign of a home trains the same baselines
    ruled_out, wanted = ({stands.get(ident, ident) for ident in named} for named in (banned, pinned))
    alive = [e for e in experiments if stands.get(e.id) == e.id and e.id not in ruled_out and may_be_parent(e)]
    # A baseline that may not be built on is still what gains are measured against.
    baselines = [e for e in experiments if e.role is Role.BASELINE and may_be_parent(e)]
    effects = {e.id: effect_of(e, baselines, metric) for e in alive}
    field = _Field(
        ranked=sorted(alive, key=lambda e: _or_last(effects[e.id]), reverse=True),
        effects=effects,
        children=Counter(stands.get(p, p) for e in experiments for p in e.parents),
        cell_of=cell_of or (lambda e: (e.family,)),
    )
    chosen = [(e, "pinned by the user") for e in field.ranked if e.id in wanted][:count]
    rng = random.Random(f"parents:{draw_key(seed, number, campaign)}")
    while len(chosen) < count and len(chosen) < len(alive):
        chosen.append(_drawn(field, [e for e, _ in chosen], rng))
    return tuple(Parent(experiment=e.id, effect=effects[e.id], why=why) for e, why in chosen)


def standing_for(experiments: Sequence[Experiment]) -> Mapping[str, str]:
    """Whoever has a file -> who stands for it: of equal baselines the newest that was measured, else itself."""
    newest: dict[tuple[str, str], str] = {}
    for e in sorted(experiments, key=lambda e: (bool(e.measurements), e.campaign)):
        if e.role is Role.BASELINE and e.candidate is not None and may_be_parent(e):
            newest[e.family, e.candidate.source] = e.id
    return {
        e.id: newest.get((e.family, e.candidate.source), e.id) if e.role is Role.BASELINE else e.id
        for e in experiments
        if e.candidate is not None
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """All possible parents."""

    ranked: Sequence[Experiment]  # best first
    effects: Mapping[str, float | None]  # over the best baseline
    children: Mapping[str, int]  # how often each was built on
    cell_of: CellOf

    @property
    def measured(self) -> list[Experiment]:
        """Candidates with a number, best first."""
        return [e for e in self.ranked if e.role is Role.CANDIDATE and self.effects[e.id] is not None]


def _drawn(field: _Field, chosen: Sequence[Experiment], rng: random.Random) -> tuple[Experiment, str]:
    if not field.measured:
        return _by_rank(field, chosen, rng)
    if not chosen:
        return _by_bound(field)
    return _elite(field, chosen, rng)


def _by_rank(field: _Field, chosen: Sequence[Experiment], rng: random.Random) -> tuple[Experiment, str]:
    """While only baselines are known: weight exp(-rank / TEMPERATURE), the second from another family."""
    pool = [e for e in field.ranked if e not in chosen]
    others = [e for e in pool if e.family not in {c.family for c in chosen}]
    pool = (others or pool) if chosen else pool
    found = rng.choices(pool, [math.exp(-rank / TEMPERATURE) for rank in range(len(pool))])[0]
    told = _told(found, field)
    return found, f"rank {field.ranked.index(found) + 1}, {told}" if told else "not measured yet"


def _by_bound(field: _Field) -> tuple[Experiment, str]:
    known = [e for e in field.ranked if field.effects[e.id] is not None]
    values = [_or_last(field.effects[e.id]) for e in known]
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
    total = sum(field.children[e.id] for e in known)

    def bound(e: Experiment) -> float:
        bonus = math.sqrt(math.log1p(total) / (1 + field.children[e.id]))
        return _or_last(field.effects[e.id]) + EXPLORATION * spread * bonus

    found = max(known, key=bound)
    built = field.children[found.id]
    return found, f"highest upper bound: {_told(found, field)}, built on {built} time{'s' * (built != 1)}"


def _elite(field: _Field, chosen: Sequence[Experiment], rng: random.Random) -> tuple[Experiment, str]:
    """The best of another cell, by rank; a candidate where no other parent is one."""
    need = all(e.role is Role.BASELINE for e in chosen)
    pool = [e for e in (field.measured if need else field.ranked) if e not in chosen]
    pool = pool or [e for e in field.ranked if e not in chosen]
    taken = {field.cell_of(e) for e in chosen}
    elites: dict[tuple[str, ...], Experiment] = {}
    for e in pool:  # the best comes first
        elites.setdefault(field.cell_of(e), e)
    others = [e for cell, e in elites.items() if cell not in taken] or pool
    found = rng.choices(others, [math.exp(-rank / TEMPERATURE) for rank in range(len(others))])[0]
    cell = " ".join(field.cell_of(found))
    return found, f"best of its kind ({cell}), {_told(found, field) or 'not measured yet'}"


def _told(experiment: Experiment, field: _Field) -> str:
    """The effect in words; "" while nothing is measured."""
    effect, failed = field.effects[experiment.id], shortfall(experiment)
    if effect is None:
        return ""
    if experiment.role is Role.BASELINE and effect == 0.0:
        return "itself the best baseline"
    if failed is None or effect < failed.effect:
        return f"{signed(effect)} against the best baseline"
    return f"{signed(effect)} against {failed.name} on fresh seeds, not shown that it {words_of(failed)}"


def _or_last(effect: float | None) -> float:
    return -math.inf if effect is None else effect


def may_be_parent(experiment: Experiment) -> bool:
    """Whether a gain over it can be told: a candidate that was measured, or a baseline that did not fail.

    Baselines that are not measured yet count: the first experiments start while baselines are trained.
    """
    return experiment.status in ALIVE or (
        experiment.role is Role.BASELINE and experiment.status is ExperimentStatus.RUNNING
    )
