"""Paired differences by seed: effect and interval.

A pair is one seed run with both arms (same data order, same scoring windows). With few seeds the sample's own
standard deviation is a poor estimate, so a calibrated one, measured on many trainings, is pooled in: the moderated
variance s2 = (d0 * s0^2 + d * s^2) / (d0 + d) with d0 + d degrees of freedom (Smyth 2004, "Linear models and
empirical Bayes methods", equation for the posterior variance).

Not covered: correcting for how many candidates were tried (`many.adjusted_confidence` gives the confidence to pass).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from move37.lab.statistics.noise import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its uncertainty, in the metric's own unit."""

    mean: float
    low: float
    high: float
    n: int  # pairs, or values
    sd: float  # of one difference, after pooling
    df: float
    confidence: float  # of the interval, e.g. 0.95


def differences(candidate: Mapping[int, float], baseline: Mapping[int, float]) -> tuple[float, ...]:
    """candidate - baseline for each seed that both have, in the order of the seeds."""
    return tuple(candidate[seed] - baseline[seed] for seed in sorted(candidate.keys() & baseline.keys()))


def interval(
    values: Sequence[float], *, confidence: float = 0.95, calibration: Calibration | None = None
) -> Interval | None:
    """A t interval of the mean of `values`; None where nothing can be said (no value, or one without calibration).

    `values` are differences by seed, or plain values of one arm. Raises `ValueError` for a confidence outside (0, 1)
    and for values that are not finite.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError("confidence must lie between 0 and 1")
    if not all(math.isfinite(v) for v in values):
        raise ValueError("an interval needs finite values")
    n = len(values)
    d0, s0 = (calibration.df, calibration.sd) if calibration else (0.0, 0.0)
    df = d0 + max(n - 1, 0)
    if n == 0 or df == 0:
        return None
    mean = math.fsum(values) / n
    squares = math.fsum((v - mean) ** 2 for v in values)
    sd = math.sqrt((d0 * s0**2 + squares) / df)
    half = float(special.stdtrit(df, 0.5 + confidence / 2)) * sd / math.sqrt(n)
    return Interval(mean=mean, low=mean - half, high=mean + half, n=n, sd=sd, df=df, confidence=confidence)
