"""Who climbs: successive halving, finalists, tuned rates and fresh seeds. Pure: records in, names out.

Read in this order: `Standing`, `climbers` (who goes on from a rung), `finalists`, `tuned_rate` (each arm at its own
best learning rate), `best_baseline`, `fresh_seeds` and `affordable_seeds` (what confirms, within the time left).
The schedule itself belongs to the task (`Task.schedule`); the runs belong to the campaign.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from move37.lab.records import Measurement, Metric

FRESH_SEED_OFFSET = 1000  # fresh seeds start here, so that no screening seed can be among them
LEAST_SEEDS = 2  # one fresh seed has no interval of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One experiment's number on one rung."""

    experiment: str
    value: float  # primary metric
    diverged: bool = False


def standing(experiment: str, measurements: Sequence[Measurement], *, metric: Metric, steps: int) -> Standing | None:
    """The screening value after exactly `steps`, at the arm's best learning rate; None where it was not measured.

    One divergence spoils a rate; where every rate is spoilt the standing has diverged.
    """
    by_rate = _by_rate(measurements, metric, steps)
    if not by_rate:
        return None
    sound = _sound(by_rate)
    best = max((_mean(runs) for runs in sound.values()), key=lambda v: metric.gain(v, 0.0), default=math.nan)
    return Standing(experiment=experiment, value=best, diverged=not sound)


def climbers(standings: Sequence[Standing], keep: int | None, *, metric: Metric) -> tuple[str, ...]:
    """The best `keep` (None: all), best first. Who diverged never climbs; ties keep the order given."""
    sound = [s for s in standings if not s.diverged and math.isfinite(s.value)]
    ranked = sorted(sound, key=lambda s: -s.value if metric.higher_is_better else s.value)
    return tuple(s.experiment for s in ranked[:keep])


def finalists(standings: Sequence[Standing], count: int, *, metric: Metric) -> tuple[str, ...]:
    """Who gets fresh seeds: the best by the last rung, whether or not they lead the baseline.

    A claim is not chosen for confirmation by its sign: a best candidate that loses is confirmed to lose.
    """
    return climbers(standings, count, metric=metric)


def tuned_rate(measurements: Sequence[Measurement], *, metric: Metric, default: float) -> float:
    """The learning rate with the best screening mean at the most steps; a rate that diverged once is out."""
    most = max((m.steps for m in measurements if m.metric == metric.name and not m.fresh), default=0)
    means = {rate: _mean(runs) for rate, runs in _sound(_by_rate(measurements, metric, most)).items()}
    return max(means, key=lambda rate: (metric.gain(means[rate], 0.0), -abs(rate - default)), default=default)


def best_baseline(baselines: Mapping[str, Sequence[Measurement]], *, metric: Metric, steps: int) -> str | None:
    """The id of the baseline with the best screening value after `steps`, over all rates tried; None without one."""
    standings = [standing(name, ms, metric=metric, steps=steps) for name, ms in baselines.items()]
    return next(iter(climbers([s for s in standings if s is not None], 1, metric=metric)), None)


def fresh_seeds(count: int, *, campaign_seed: int, used: Collection[int] = ()) -> tuple[int, ...]:
    """`count` seeds that no screening run had, the same for both arms so that they pair."""
    seeds: list[int] = []
    seed = FRESH_SEED_OFFSET * (1 + max(0, campaign_seed))
    while len(seeds) < count:
        if seed not in used:
            seeds.append(seed)
        seed += 1
    return tuple(seeds)


def affordable_seeds(
    wanted: int, *, arms: int, seconds_per_run: float, seconds_left: float | None, workers: int = 1
) -> int:
    """How many fresh seeds fit into the time left (None: all of them); 0 where not even two would.

    `seconds_per_run` is the slowest arm's wall time for one training and scoring; `arms` share the `workers`.
    """
    if seconds_left is None or seconds_per_run <= 0.0:
        return wanted
    runs = max(0.0, seconds_left) / seconds_per_run * max(1, workers)
    fitting = min(wanted, int(runs // max(1, arms)))
    return fitting if fitting >= LEAST_SEEDS else 0


def _by_rate(measurements: Sequence[Measurement], metric: Metric, steps: int) -> dict[float, list[Measurement]]:
    """Screening runs of exactly `steps`, by learning rate."""
    by_rate: dict[float, list[Measurement]] = defaultdict(list)
    for m in measurements:
        if m.metric == metric.name and m.steps == steps and not m.fresh:
            by_rate[m.learning_rate].append(m)
    return by_rate


def _sound(by_rate: Mapping[float, list[Measurement]]) -> dict[float, list[Measurement]]:
    """The rates at which nothing diverged."""
    return {rate: runs for rate, runs in by_rate.items() if all(m.is_sound for m in runs)}


def _mean(runs: Sequence[Measurement]) -> float:
    return math.fsum(m.value for m in runs) / len(runs)
