"""Who is drawn as a parent, and why: a pure function of the archive's records, the seed and the experiment's number.

Ranks by the effect against the best baseline at equal steps (raw values at different steps do not compare), draws the
first parent with weight exp(-rank / TEMPERATURE), and the second from another family where there is one, so that
crossover has something to cross. Baselines are parents too: they are what the first experiments start from.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from move37.lab.ladder import best_baseline, standing
from move37.lab.records import Experiment, ExperimentStatus, Metric, Role

TEMPERATURE = 2.5  # ranks; smaller is greedier
ALIVE = (ExperimentStatus.MEASURED, ExperimentStatus.PROMOTED, ExperimentStatus.CONFIRMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A drawn parent."""

    experiment: str
    effect: float | None  # gain against the best baseline, positive is better; None while nothing is measured
    why: str  # one clause


def effect_of(experiment: Experiment, baselines: Sequence[Experiment], metric: Metric) -> float | None:
    """The gain over the best baseline at the same number of steps, each at its best rate; the most steps first."""
    screened = {m.steps for m in experiment.measurements if m.metric == metric.name and not m.fresh}
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
) -> tuple[Parent, ...]:
    """Up to `count` parents for experiment `number`: pinned ones first, banned ones never, nobody twice."""
    alive = [e for e in experiments if e.candidate is not None and e.id not in banned and _may_be_parent(e)]
    baselines = [e for e in alive if e.role is Role.BASELINE]
    effects = {e.id: effect_of(e, baselines, metric) for e in alive}
    ranked = sorted(alive, key=lambda e: _or_last(effects[e.id]), reverse=True)
    chosen = [e for e in ranked if e.id in pinned][:count]
    rng = random.Random(f"parents:{seed}:{number}")
    while len(chosen) < count:
        pool = [e for e in ranked if e not in chosen]
        others = [e for e in pool if e.family not in {c.family for c in chosen}]
        pool = (others or pool) if chosen else pool
        if not pool:
            break
        weights = [math.exp(-rank / TEMPERATURE) for rank in range(len(pool))]
        chosen.append(rng.choices(pool, weights)[0])
    return tuple(
        Parent(experiment=e.id, effect=effects[e.id], why=_why(e, ranked.index(e), effects[e.id], pinned))
        for e in chosen
    )


def _or_last(effect: float | None) -> float:
    return -math.inf if effect is None else effect


def _may_be_parent(experiment: Experiment) -> bool:
    # A baseline may be one before it is measured: the first experiments start beside the baselines' training.
    return experiment.status in ALIVE or (
        experiment.role is Role.BASELINE and experiment.status is ExperimentStatus.RUNNING
    )


def _why(experiment: Experiment, rank: int, effect: float | None, pinned: Sequence[str]) -> str:
    if experiment.id in pinned:
        return "pinned by the person"
    if effect is None:
        return "not measured yet"
    return f"rank {rank + 1}, {effect:+.3f} against the best baseline"
