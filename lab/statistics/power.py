"""Power of the paired t test with n seeds. Pure.

The noncentral t distribution is averaged over the sample's standard deviation at fixed quantiles, because SciPy's
own `nct` gives NaN in places that a root finder visits.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

POWER = 0.8  # of a smallest effect that can be seen
MOST_SDS = 100.0  # effects beyond so many standard deviations are not asked for
_QUANTILES = (np.arange(1000) + 0.5) / 1000


def power(effect: float, *, n: int, sd: float, confidence: float = 0.95, df: float | None = None) -> float:
    """Chance that a paired t test on `n` seeds finds `effect`; `sd` is that of one difference, in the same unit.

    `df`: degrees of freedom behind the test's own standard deviation, n - 1 unless a calibration adds to them.
    """
    df = n - 1 if df is None else df
    if n < 1 or df <= 0:
        return 0.0
    if sd <= 0.0:  # without noise every effect is found
        return 1.0 if effect else 0.0
    # Given the ratio of the sample's sd to the true one, the test is a normal one; the mean over ratios is the power.
    critical, ratio = _paired_test(df, confidence)
    shift = abs(effect) / sd * math.sqrt(n)
    return float(np.mean(special.ndtr(shift - critical * ratio) + special.ndtr(-shift - critical * ratio)))


@functools.lru_cache(maxsize=256)
def _paired_test(df: float, confidence: float) -> tuple[float, NDArray[np.float64]]:
    """(critical t, the sample's sd over the true one at each quantile): dear, and the same for every effect."""
    ratio = np.sqrt(special.chdtri(df, 1.0 - _QUANTILES) / df)
    return float(special.stdtrit(df, 0.5 + confidence / 2)), ratio


@functools.cache
def minimum_detectable_effect(n: int, *, sd: float, confidence: float = 0.95, df: float | None = None) -> float:
    """The smallest effect that `n` seeds find in four of five cases, in the unit of `sd`; infinite where none is."""
    if sd <= 0.0 and n > 1:
        return 0.0
    low, high = 0.0, MOST_SDS * sd
    if power(high, n=n, sd=sd, confidence=confidence, df=df) < POWER:
        return math.inf
    for _ in range(40):  # power grows with the effect: bisect
        middle = (low + high) / 2
        if power(middle, n=n, sd=sd, confidence=confidence, df=df) < POWER:
            low = middle
        else:
            high = middle
    return high
