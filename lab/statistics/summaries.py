"""Tests from published means: what a table of means and sample sizes supports, with a correction for many rows. Pure.

Read `against` (one result against an earlier one, from means alone) and `survivors` (Holm's step-down correction). The
standard deviation is the table's own, taken as known; rounding of the means gives each p value a range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSample:
    """A published mean."""

    mean: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PValue:
    """A one-sided p value, with its range from rounding of the two means."""

    value: float
    low: float
    high: float

    def covers(self, published: float, *, digits: float) -> bool:
        """Whether a published value, rounded to `digits`, can come from the same means."""
        return self.low - digits / 2 <= published <= self.high + digits / 2


def against(new: ValueSample, old: ValueSample, *, sd: float, allowance: float = 0.0, rounding: float = 0.0) -> PValue:
    """How surprising it would be that `new` is lower than `old` by chance: a z test with known `sd`.

    `allowance` is what the new result gained elsewhere, in the mean's unit; `rounding` is the step of the means.
    """
    spread = sd * math.sqrt(1.0 / new.n + 1.0 / old.n)

    def p(shift: float) -> float:
        return float(special.ndtr(-(old.mean - new.mean + allowance + shift) / spread))

    return PValue(value=p(0.0), low=p(rounding), high=p(-rounding))


def survivors(p_values: Sequence[float], *, error: float = 0.05) -> tuple[bool, ...]:
    """Which hypotheses Holm (1979) rejects at family-wise `error`, in the order given."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    kept = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > error / (len(p_values) - rank):
            break
        kept[index] = True
    return tuple(kept)
