"""Forecasts are scored by a proper rule, beside two that take no thought."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.forecasts import TENTH, crps, no_effect, past_mean, refusals, score, skill, spearman
from move37.lab.records import Forecast

SMALL = st.floats(-2, 2)


def a_forecast(middle: float = 0.0, sd: float = 1.0, author: str = "Researcher") -> Forecast:
    return Forecast(author=author, effect=middle, low=middle - TENTH * sd, high=middle + TENTH * sd)


@given(middle=SMALL, sd=st.floats(0.05, 2), effect=SMALL)
def test_crps_is_the_integral_that_defines_it(middle: float, sd: float, effect: float) -> None:
    x = np.linspace(-25, 25, 50_001)
    below = 0.5 * (1 + np.vectorize(math.erf)((x - middle) / (sd * math.sqrt(2))))
    integral = float(np.trapezoid((below - (x >= effect)) ** 2, x))
    assert crps(a_forecast(middle, sd), effect) == pytest.approx(integral, abs=2e-3)


@given(effect=SMALL, off=st.floats(0.1, 2))
def test_a_forecast_that_is_further_off_scores_worse(effect: float, off: float) -> None:
    assert crps(a_forecast(effect), effect) < crps(a_forecast(effect + off), effect)


def test_a_sharper_forecast_is_better_when_right_and_worse_when_wrong() -> None:
    assert crps(a_forecast(0, 0.1), 0.0) < crps(a_forecast(0, 1.0), 0.0)
    assert crps(a_forecast(0, 0.1), 2.0) > crps(a_forecast(0, 1.0), 2.0)


def test_coverage_of_a_calibrated_author_is_near_eighty_per_cent() -> None:
    rng = random.Random(3)
    outcomes = [score(f"e{i}", a_forecast(), rng.gauss(0, 1)) for i in range(2000)]
    found = skill("Researcher", outcomes, noise=1.0)
    assert found is not None and found.coverage == pytest.approx(0.8, abs=0.03)


def test_one_who_knows_has_skill_over_both_naive_forecasts_and_one_who_guesses_has_none() -> None:
    rng = random.Random(5)
    effects = [rng.gauss(0.02, 0.05) for _ in range(60)]
    knows = [score(f"e{i}", a_forecast(e + rng.gauss(0, 0.01), 0.01), e) for i, e in enumerate(effects)]
    guesses = [
        score(f"e{i}", a_forecast(rng.gauss(0.3, 0.05), 0.01, author="Critic"), e) for i, e in enumerate(effects)
    ]
    good, bad = skill("Researcher", knows + guesses, noise=0.02), skill("Critic", knows + guesses, noise=0.02)
    assert good is not None and bad is not None
    assert good.over_no_effect > 0.5 and good.over_past_mean > 0.5 and (good.rank_correlation or 0) > 0.9
    assert bad.over_no_effect < 0 and bad.over_past_mean < 0


def test_naive_forecasts_see_the_past_alone() -> None:
    one = [score("a", a_forecast(), 0.0), score("b", a_forecast(), 5.0)]
    first = skill("Researcher", one[:1], noise=0.1)
    assert first is not None and first.crps_past_mean == pytest.approx(crps(past_mean([], 0.1), 0.0))
    assert no_effect([], 0.1).high == pytest.approx(0.1 * TENTH)


def test_nobody_who_said_nothing_has_a_skill() -> None:
    assert skill("Critic", [score("a", a_forecast(), 0.0)], noise=0.1) is None


def test_ties_share_their_rank() -> None:
    assert spearman([1, 1, 2, 3], [10, 10, 20, 30]) == pytest.approx(1.0)
    assert spearman([1, 2], [1, 2]) is None and spearman([1, 1, 1], [1, 2, 3]) is None


def test_the_critic_is_right_where_what_it_refused_lost() -> None:
    found = refusals(tried=[-0.1, -0.2, 0.1], accepted=[0.1, -0.1])
    assert found.precision == pytest.approx(2 / 3) and found.accepted_worse == 1
    assert refusals(tried=[], accepted=[0.1]).precision is None
