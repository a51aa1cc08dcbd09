"""Laws of growth and their likelihood: fitted to campaigns, and scored on one that was left out. Pure.

Read `Trace` and `Tally` (what a campaign gives), `fit_law`, then `score`. Amounts have Gaussian errors, counts are a
Poisson process whose rate may fall or rise. Which law may be named stands in `growth_laws.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLAT, LINEAR, POWER, SATURATING = "flat", "linear", "power", "saturating"
# Shapes over compute in units of the largest: exponents; and at which share of it 63 % of the growth has happened.
EXPONENTS = tuple(float(s) for s in np.geomspace(0.1, 4.0, 41))
SCALES = tuple(float(s) for s in np.geomspace(0.02, 4.0, 41))
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """An amount that one campaign had reached, by compute."""

    campaign: str
    points: tuple[tuple[float, float], ...]  # (core-seconds, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Discoveries of one campaign and when they were made: a count."""

    campaign: str
    found: tuple[float, ...]  # core-seconds spent when each was found
    until: float  # core-seconds in all


@dataclass(frozen=True, slots=True)
class FittedLaw:
    """A law with its numbers, over compute in units of the largest."""

    law: str
    start: float
    growth: float
    shape: float  # 0 where the law has none
    sd: float  # of amounts

    def mean(self, u: Array) -> Array:
        """What the law expects at compute `u` (N,), in units of the largest."""
        return np.asarray(self.start + self.growth * _shaped(self.law, u, np.array([self.shape]))[0])


def largest_compute(campaign: Trace | Tally) -> float:
    """Core-seconds that the campaign spent in all."""
    return campaign.until if isinstance(campaign, Tally) else max((c for c, _ in campaign.points), default=0.0)


def _shaped(law: str, u: Array, shapes: Array) -> Array:
    """(S,), (N,) -> (S, N): each shape of the law over compute in units of the largest."""
    if law == FLAT:
        return np.zeros((1, len(u)))
    if law == LINEAR:
        return u[None]
    if law == POWER:
        return np.asarray(u[None] ** shapes[:, None])
    return np.asarray(1.0 - np.exp(-u[None] / shapes[:, None]))


def _shapes(law: str) -> Array:
    return np.array({POWER: EXPONENTS, SATURATING: SCALES}.get(law, (0.0,)))


def fit_law(law: str, data: Sequence[Trace | Tally], top: float) -> FittedLaw:
    """The law's likeliest numbers; `top` is the compute that counts as one."""
    tallies = [c for c in data if isinstance(c, Tally)]
    return (
        _fit_counts(law, tallies, top) if tallies else _fit_amounts(law, [c for c in data if isinstance(c, Trace)], top)
    )


def _fit_amounts(law: str, data: Sequence[Trace], top: float) -> FittedLaw:
    """Least squares with a growth that is not negative; every campaign weighs the same."""
    u = np.array([c / top for t in data for c, _ in t.points])
    y = np.array([v for t in data for _, v in t.points])
    w = np.array([1.0 / len(t.points) for t in data for _ in t.points])
    w = w / w.sum()
    shapes = _shapes(law)
    f = _shaped(law, u, shapes)
    # Simple regression on every shape at once; a negative slope becomes zero, which leaves the mean as the start.
    centre, middle = f @ w, float(y @ w)
    deviation = f - centre[:, None]
    varies = (deviation**2) @ w
    slope = np.where(varies > 1e-12, (deviation @ (w * (y - middle))) / np.maximum(varies, 1e-12), 0.0)
    slope = np.maximum(slope, 0.0)
    start = middle - slope * centre
    squares = ((y[None] - start[:, None] - slope[:, None] * f) ** 2) @ w
    best = int(np.argmin(squares))
    parameters = {FLAT: 1, LINEAR: 2}.get(law, 3)
    n = len(data)
    sd = math.sqrt(max(float(squares[best]) * n / max(1, n - parameters), 1e-18))
    return FittedLaw(law, float(start[best]), float(slope[best]), float(shapes[best]), sd)


def _fit_counts(law: str, data: Sequence[Tally], top: float) -> FittedLaw:
    """The likeliest rate of a Poisson process; half a discovery is added, so that it is never zero."""
    found = np.array([c / top for t in data for c in t.found])
    ends = np.array([t.until / top for t in data])
    shapes = _shapes(law)
    grown = _shaped(law, ends, shapes).sum(axis=1)
    growth = (len(found) + 0.5) / np.maximum(grown, 1e-12)
    # Of an inhomogeneous Poisson process: the log rates where something was found, less the expected number.
    likelihood = np.log(np.maximum(growth[:, None] * _rate(law, found, shapes), 1e-300)).sum(axis=1) - growth * grown
    best = int(np.argmax(likelihood))
    return FittedLaw(law, 0.0, float(growth[best]), float(shapes[best]), 0.0)


def _rate(law: str, u: Array, shapes: Array) -> Array:
    """The derivative of `_shaped`."""
    if law == POWER:
        return np.asarray(shapes[:, None] * np.maximum(u, 1e-9)[None] ** (shapes[:, None] - 1.0))
    if law == SATURATING:
        return np.asarray(np.exp(-u[None] / shapes[:, None]) / shapes[:, None])
    return np.ones((1, len(u)))


def score(fit: FittedLaw, campaign: Trace | Tally, top: float) -> float:
    """The campaign's log likelihood; of amounts the mean over its points, which are not independent."""
    if isinstance(campaign, Tally):
        u, shape = np.array(campaign.found) / top, np.array([fit.shape])
        rate = np.log(np.maximum(fit.growth * _rate(fit.law, u, shape)[0], 1e-300)).sum() if len(u) else 0.0
        return float(rate - fit.mean(np.array([campaign.until / top]))[0])
    u = np.array([c for c, _ in campaign.points]) / top
    errors = (np.array([v for _, v in campaign.points]) - fit.mean(u)) / fit.sd
    return float(np.mean(-0.5 * errors**2) - math.log(fit.sd) - 0.5 * math.log(2.0 * math.pi))
