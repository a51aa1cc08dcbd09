"""How well each author predicts: forecasts made before a run, scored when its number is known. Pure.

Read `score` (one forecast), `against_naive` (what two forecasts without any thought would have scored on the same
experiments), `skill` (an author's whole record) and `refusals` (how many of the Critic's refusals were right).

A forecast is read as a normal distribution whose 10 % and 90 % points are its bounds. The continuous ranked probability
score of a normal: Gneiting and Raftery 2007, "Strictly proper scoring rules, prediction, and estimation", equation 21;
smaller is better, in the metric's own unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from move37.lab.records import Forecast

TENTH = 1.2815515594  # standard deviations from the middle to the 90 % point
LEAST_SD = 1e-9  # a forecast without a width is a point


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastOutcome:
    """One forecast beside the measured effect."""

    experiment: str
    forecast: Forecast
    effect: float  # measured against the same base, at the same steps
    crps: float
    covered: bool  # within the 80 % interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """An author's record. Skill is 1 - CRPS / CRPS of the naive forecast: 0 adds nothing, below it misleads."""

    author: str
    n: int
    crps: float  # mean, in the metric's unit
    crps_no_effect: float  # of "nothing changes", on the same experiments
    crps_past_mean: float  # of "as the past ones on average"
    coverage: float  # share within the 80 % interval
    rank_correlation: float | None  # Spearman, None below three outcomes or without variation

    @property
    def over_no_effect(self) -> float:
        """Skill against "nothing changes"."""
        return 1.0 - self.crps / self.crps_no_effect if self.crps_no_effect else 0.0

    @property
    def over_past_mean(self) -> float:
        """Skill against the mean of past effects."""
        return 1.0 - self.crps / self.crps_past_mean if self.crps_past_mean else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """Hypotheses that the Critic refused and that were tried all the same, beside those it accepted."""

    tried: int
    worse: int  # of those, how many lost against their base
    accepted: int
    accepted_worse: int

    @property
    def precision(self) -> float | None:
        """Share of the refused that lost against their base; None while none was tried."""
        return self.worse / self.tried if self.tried else None


def crps(forecast: Forecast, effect: float) -> float:
    """The continuous ranked probability score of a forecast, in the metric's unit; 0 is perfect."""
    sd = _sd(forecast)
    z = (effect - forecast.effect) / sd
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return sd * (z * (2 * _below(z) - 1) + 2 * density - 1 / math.sqrt(math.pi))


def chance_of_more(one: Forecast, other: Forecast) -> float:
    """The chance that `other` turns out above `one`. They are taken as independent."""
    return _below((other.effect - one.effect) / math.hypot(_sd(one), _sd(other)))


def score(experiment: str, forecast: Forecast, effect: float) -> ForecastOutcome:
    """A forecast beside the effect that was measured."""
    covered = forecast.low <= effect <= forecast.high
    return ForecastOutcome(
        experiment=experiment, forecast=forecast, effect=effect, crps=crps(forecast, effect), covered=covered
    )


def no_effect(past: Sequence[float], noise: float) -> Forecast:
    """ "Nothing changes", as wide as past effects spread around nothing (the lab's noise before there are any)."""
    spread = math.sqrt(math.fsum(e * e for e in past) / len(past)) if past else noise
    return _normal("no effect", 0.0, max(spread, noise))


def past_mean(past: Sequence[float], noise: float) -> Forecast:
    """A forecast of the mean of past effects, with their spread as its width."""
    if len(past) < 2:
        return _normal("past mean", past[0] if past else 0.0, noise)
    return _normal("past mean", float(np.mean(past)), max(float(np.std(past, ddof=1)), noise))


def skill(author: str, outcomes: Sequence[ForecastOutcome], *, noise: float) -> Skill | None:
    """An author's outcomes in the order in which they came; None without any.

    `noise` is the standard deviation of a measured effect without a cause, in the metric's unit. The naive forecasts
    see, at each outcome, only the effects that came before it.
    """
    own = [o for o in outcomes if o.forecast.author == author]
    if not own:
        return None
    effects = [o.effect for o in own]
    flat = [crps(no_effect(effects[:i], noise), e) for i, e in enumerate(effects)]
    mean = [crps(past_mean(effects[:i], noise), e) for i, e in enumerate(effects)]
    return Skill(
        author=author,
        n=len(own),
        crps=math.fsum(o.crps for o in own) / len(own),
        crps_no_effect=math.fsum(flat) / len(own),
        crps_past_mean=math.fsum(mean) / len(own),
        coverage=sum(o.covered for o in own) / len(own),
        rank_correlation=spearman([o.forecast.effect for o in own], effects),
    )


def refusals(tried: Sequence[float], accepted: Sequence[float]) -> Refusals:
    """From the effects against their bases of what was tried despite a refusal, and of what was accepted."""
    return Refusals(
        tried=len(tried),
        worse=sum(e < 0 for e in tried),
        accepted=len(accepted),
        accepted_worse=sum(e < 0 for e in accepted),
    )


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Rank correlation, ties sharing their mean rank; None below three pairs or where one side does not vary."""
    if len(one) < 3 or len(set(one)) == 1 or len(set(other)) == 1:
        return None
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _below(z: float) -> float:
    """The share of a standard normal below `z`."""
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def _sd(forecast: Forecast) -> float:
    return max((forecast.high - forecast.low) / (2 * TENTH), LEAST_SD)


def _normal(author: str, middle: float, sd: float) -> Forecast:
    return Forecast(author=author, effect=middle, low=middle - TENTH * sd, high=middle + TENTH * sd)


def _ranks(values: Sequence[float]) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + 1 + ends) / 2)[inverse]
