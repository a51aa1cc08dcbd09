"""Which learning rate an arm is measured at: one rule for standings, effects, verdicts and tables. Pure.

Rates are compared on the seeds that all of them had: a rate that got further seeds is then neither preferred for their
number nor, as the mean of more draws, beaten by the luckiest single run of another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from move37.lab.records import Measurement


def best_rate(
    by_rate: Mapping[float, Sequence[Measurement]], *, higher_is_better: bool, default: float | None = None
) -> float | None:
    """The rate with the best mean on the seeds that all have; without such seeds, among those with the most.

    One divergence excludes a rate; None where that leaves none. Of equal ones the nearest to `default`, then the first.
    """
    sound = {rate: {m.seed: m.value for m in runs} for rate, runs in by_rate.items() if all(m.is_sound for m in runs)}
    if not sound:
        return None
    common = set.intersection(*(set(runs) for runs in sound.values()))
    most = max(len(runs) for runs in sound.values())
    sign = 1.0 if higher_is_better else -1.0

    def rank(rate: float) -> tuple[float, float]:
        runs = sound[rate]
        values = [runs[seed] for seed in common or runs]
        return sign * math.fsum(values) / len(values), -abs(rate - default) if default is not None else 0.0

    return max((rate for rate, runs in sound.items() if common or len(runs) == most), key=rank)
