"""Promotion by successive halving, finalists, tuned rates and fresh seeds. Pure: records in, names out.

Read in this order: `Standing`, `climbers` (who is promoted from a rung), `screened_again`, `finalists`, `tuned_rate`
(each arm at its own best learning rate), `best_baselines`, `resolution` (the smallest effect that seeds can show),
`fresh_seeds` and `affordable_seeds` (what confirms, within the time left).
The schedule itself belongs to the task (`Task.schedule`); the runs belong to the campaign.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from move37.lab.effects import Conditions, conditions_of
from move37.lab.rates import best_rate
from move37.lab.records import Measurement, Metric
from move37.lab.statistics.many import confirmation_error
from move37.lab.statistics.noise import Calibration, noise_of
from move37.lab.statistics.power import minimum_detectable_effect
from move37.lab.training.schedule import FIRST_FRESH_SEED

SEED_BASES = 1_000_000  # from which a campaign's secret chooses where its fresh seeds start
LEAST_SEEDS = 2  # one fresh seed has no interval of its own
MOST_SEEDS = 20  # fresh seeds that a confirmation may ask for
RIVALS = 2  # best screened baselines that a finalist has to beat: one seed picks the wrong one in a third of cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One experiment's number on one rung."""

    experiment: str
    value: float  # primary metric
    diverged: bool = False
    seeds: int = 1  # behind the value


def standing(experiment: str, measurements: Sequence[Measurement], *, metric: Metric, steps: int) -> Standing | None:
    """The screening mean after exactly `steps`, at the arm's best learning rate; None where it was not measured.

    One divergence excludes a rate; where every rate is excluded the standing has diverged.
    """
    by_rate = _by_rate(measurements, metric, steps)
    if not by_rate:
        return None
    best = best_rate(by_rate, higher_is_better=metric.higher_is_better)
    runs = [] if best is None else by_rate[best]
    value = _mean(runs) if runs else math.nan
    return Standing(experiment=experiment, value=value, diverged=best is None, seeds=len(runs))


def screened_again(standings: Sequence[Standing]) -> tuple[Standing, ...]:
    """Those behind which the most seeds stand.

    Further seeds take the luck out of who got them, so that whoever got none must not be chosen over them by its own.
    """
    most = max((s.seeds for s in standings), default=0)
    return tuple(s for s in standings if s.seeds == most)


def climbers(standings: Sequence[Standing], keep: int | None, *, metric: Metric) -> tuple[str, ...]:
    """The best `keep` (None: all), best first. Diverged ones are never promoted; ties keep the order given."""
    sound = [s for s in standings if not s.diverged and math.isfinite(s.value)]
    ranked = sorted(sound, key=lambda s: -s.value if metric.higher_is_better else s.value)
    return tuple(s.experiment for s in ranked[:keep])


def finalists(standings: Sequence[Standing], count: int, *, metric: Metric) -> tuple[str, ...]:
    """The candidates that get fresh seeds: the best at the last rung, whether or not they are ahead of the baseline.

    Nothing is selected by the sign of its effect: a best candidate that loses is confirmed to lose.
    """
    return climbers(standings, count, metric=metric)


def tuned_rate(measurements: Sequence[Measurement], *, metric: Metric, default: float) -> float:
    """The learning rate with the best screening mean at the most steps; a rate that diverged once is out."""
    most = max((m.steps for m in measurements if m.metric == metric.name and not m.fresh), default=0)
    found = best_rate(_by_rate(measurements, metric, most), higher_is_better=metric.higher_is_better, default=default)
    return default if found is None else found


def best_baseline(baselines: Mapping[str, Sequence[Measurement]], *, metric: Metric, steps: int) -> str | None:
    """The id of the baseline with the best screening value after `steps`, over all rates tried; None without one."""
    return next(iter(best_baselines(baselines, metric=metric, steps=steps, count=1)), None)


def best_baselines(
    baselines: Mapping[str, Sequence[Measurement]], *, metric: Metric, steps: int, count: int = RIVALS,
    again: bool = False,
) -> tuple[str, ...]:  # fmt: skip
    """The ids of the `count` best baselines by their screening means after `steps`, best first.

    `again`: of those that were `screened_again` alone.
    """
    found = [standing(name, ms, metric=metric, steps=steps) for name, ms in baselines.items()]
    standings = tuple(s for s in found if s is not None)
    return climbers(screened_again(standings) if again else standings, count, metric=metric)


def fresh_seeds(count: int, *, campaign_seed: int, used: Collection[int] = ()) -> tuple[int, ...]:
    """`count` seeds that no screening run had, the same for both arms so that they pair."""
    seeds: list[int] = []
    seed = FIRST_FRESH_SEED * (1 + max(0, campaign_seed))
    while len(seeds) < count:
        if seed not in used:
            seeds.append(seed)
        seed += 1
    return tuple(seeds)


def affordable_seeds(
    wanted: int, *, arms: int, seconds_per_run: float, seconds_left: float | None, workers: int = 1, begun: int = 0
) -> int:
    """How many fresh seeds there can be, those `begun` and what fits into the time left (None: all of them).

    0 where that makes not even two.
    `seconds_per_run` is the slowest arm's wall time for one training and scoring; `arms` share the `workers`.
    """
    if seconds_left is None or seconds_per_run <= 0.0:
        return wanted
    runs = max(0.0, seconds_left) / seconds_per_run * max(1, workers)
    fitting = min(wanted, begun + int(runs // max(1, arms)))
    return fitting if fitting >= LEAST_SEEDS else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a confirmation can detect, and the seeds that it needs for the smallest effect of interest."""

    seeds: int  # to run
    floor: float | None  # the smallest effect that they find in four of five cases; None: the noise is not known
    refusal: str = ""  # why no confirmation is begun; empty: go on


def resolution(
    arms: Sequence[Sequence[Measurement]], *, metric: Metric, wanted: int, smallest: float | None, confirmation: int,
    most: int = MOST_SEEDS,
) -> Resolution:  # fmt: skip
    """Enough seeds, from `wanted` up to `most`, to find `smallest` at the error that this confirmation may spend.

    Refused where `most` seeds do not find it: then neither "better" nor "not distinguishable" would mean anything.
    `arms` are all screening measurements at hand; without a calibrated noise their repeated seeds estimate it.
    """
    noise = _noise(arms, metric)
    if smallest is None or noise is None:
        return Resolution(seeds=wanted, floor=None)
    confidence = 1.0 - confirmation_error(confirmation)

    def floor(seeds: int) -> float:
        df = noise.df + seeds - 1
        return minimum_detectable_effect(seeds, sd=noise.sd, confidence=confidence, df=df) if df > 0 else math.inf

    seeds = next((n for n in range(wanted, most + 1) if floor(n) <= smallest), most)
    found = floor(seeds)
    if found <= smallest:
        return Resolution(seeds=seeds, floor=found)
    refusal = (
        f"differences by seed scatter by {noise.sd:.3g} {metric.unit}: with {seeds} seeds confirmation "
        f"{confirmation} of this home finds {found:.3g} or more, and {smallest:.3g} is of interest, so none is begun"
    )
    return Resolution(seeds=seeds, floor=found, refusal=refusal)


def _noise(arms: Sequence[Sequence[Measurement]], metric: Metric) -> Calibration | None:
    """Of a difference by seed: calibrated where it was measured, else from arms that have several seeds.

    The latter counts for no degree of freedom, because the verdict rests on its own seeds alone.
    """
    used = [m for arm in arms for m in arm if m.metric == metric.name and m.is_sound]
    if (known := noise_of(metric.name, used)) is not None:
        return known.across
    squares, df = 0.0, 0
    for arm in arms:
        groups: dict[tuple[Conditions, float, bool], list[float]] = defaultdict(list)
        for m in arm:
            if m.metric == metric.name and m.is_sound:
                groups[conditions_of(m), m.learning_rate, m.fresh].append(m.value)
        for values in groups.values():
            mean = math.fsum(values) / len(values)
            squares += math.fsum((v - mean) ** 2 for v in values)
            df += len(values) - 1
    return Calibration(sd=math.sqrt(2.0 * squares / df), df=0.0) if df else None


def _by_rate(measurements: Sequence[Measurement], metric: Metric, steps: int) -> dict[float, list[Measurement]]:
    """Screening runs of exactly `steps`, by learning rate."""
    by_rate: dict[float, list[Measurement]] = defaultdict(list)
    for m in measurements:
        if m.metric == metric.name and m.steps == steps and not m.fresh:
            by_rate[m.learning_rate].append(m)
    return by_rate


def _mean(runs: Sequence[Measurement]) -> float:
    return math.fsum(m.value for m in runs) / len(runs)
