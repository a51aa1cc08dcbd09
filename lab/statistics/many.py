"""Corrections for many trials: the confidence of the k-th confirmation, and what chance alone would show. Pure.

Fresh seeds are independent of what was screened, so that the number screened needs no correction; the number confirmed
does, over the life of a home. Not covered: false discovery rates (docs/decisions/90-confirmations-share-one-error.md).
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy import special

ERROR = 0.05  # of a home, over all confirmations that it will ever have


def confirmation_error(k: int) -> float:
    """The two-sided error allowed to the k-th confirmation of a home: .05 * 6 / (pi k)^2, whose sum over k is .05.

    Raises `ValueError` below one.
    """
    if k < 1:
        raise ValueError("confirmations are counted from one")
    return ERROR * 6.0 / (math.pi * k) ** 2


def adjusted_confidence(tried: int) -> float:
    """The confidence each of `tried` intervals needs so that all hold together with .95 (Sidak 1967): .95^(1/tried).

    Holds for independent and for positively dependent estimates; a shared baseline makes them the latter.
    """
    if tried < 1:
        raise ValueError("at least one was tried")
    return float(0.95 ** (1.0 / tried))


@functools.cache
def expected_maximum(tried: int) -> float:
    """Mean of the largest of `tried` independent standard normal draws, in standard deviations (0 for one)."""
    if tried < 1:
        raise ValueError("at least one was tried")

    # E max = integral over x > 0 of P(max > x) - P(max < -x); the integrand is smooth, a fine grid suffices.
    x = np.linspace(0.0, 12.0, 12_001)
    above = -np.expm1(tried * special.log_ndtr(x))
    below = np.exp(tried * special.log_ndtr(-x))
    return max(0.0, float(np.trapezoid(above - below, x)))


def luck(tried: int, sd: float) -> float:
    """The lead over one baseline run that the best of `tried` worthless candidates shows on one seed each.

    `sd` is that of a single run, in the metric's unit. The baseline's own error does not grow with `tried`.
    """
    return expected_maximum(tried) * sd


def expected_records(tried: int) -> float:
    """How many of `tried` worthless ideas the rule "keep if better than the best so far" keeps: 1 + 1/2 + ... + 1/n."""
    return math.fsum(1.0 / k for k in range(1, tried + 1))
