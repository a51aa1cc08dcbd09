"""Each metric of an experiment in one line, for tables and `--json`. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from move37.lab.rates import best_rate
from move37.lab.records import Measurement
from move37.lab.statistics.noise import noise_of
from move37.lab.statistics.paired import interval
from move37.lab.tasks.registry import metric_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One metric of one experiment, as `list --json` shows it."""

    mean: float
    low: float | None  # 95 % interval of the mean; None with one seed
    high: float | None
    n: int  # seeds
    self_reported: bool  # the candidate could touch the number
    steps: int = 0
    fresh: bool = False  # on seeds that selected nothing
    diverged: bool = False  # at least one of the runs did
    own_backward: bool = False  # the candidate declares another backward: its gradients were not checked


def summarise(measurements: Sequence[Measurement]) -> dict[str, Summary]:
    """Each metric's best evidence: fresh seeds where there are any, else the screening runs; at the most steps.

    Among several learning rates the best counts (`lab/rates.py`); where each diverged, the one with the most seeds.
    Only fresh seeds have an interval, because screening seeds selected what they measure.
    """
    by_metric: dict[str, list[Measurement]] = defaultdict(list)
    for m in measurements:
        by_metric[m.metric].append(m)
    return {name: _summary(name, runs) for name, runs in by_metric.items()}


def _summary(name: str, runs: Sequence[Measurement]) -> Summary:
    fresh = [m for m in runs if m.fresh] or list(runs)
    most = max(m.steps for m in fresh)
    groups: dict[float, dict[int, Measurement]] = defaultdict(dict)
    for m in fresh:
        if m.steps == most:
            groups[m.learning_rate][m.seed] = m
    metric = metric_named(name)  # a probe has none: higher is better
    by_rate = {rate: tuple(runs.values()) for rate, runs in groups.items()}
    best = best_rate(by_rate, higher_is_better=metric.higher_is_better if metric else True)
    chosen = max(by_rate.values(), key=len) if best is None else by_rate[best]
    values = [m.value for m in chosen if m.is_number]
    noise = noise_of(name, chosen)
    chose = not all(m.fresh for m in chosen)  # seeds that selected give no error of their mean
    found = None if chose or len(values) < 2 else interval(values, calibration=noise.run if noise else None)
    return Summary(
        mean=math.fsum(values) / len(values) if values else math.nan,
        low=found.low if found else None,
        high=found.high if found else None,
        n=len(chosen),
        self_reported=any(m.self_reported for m in chosen),
        steps=most,
        fresh=all(m.fresh for m in chosen),
        diverged=not all(m.is_sound for m in chosen),
        own_backward=any(m.custom_backward for m in chosen),
    )
