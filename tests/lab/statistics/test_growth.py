"""Laws of growth: what generated the data is named when there is enough of it, and nothing else ever is."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.lab.statistics.growth import FLAT, LINEAR, POWER, SATURATING, Tally, Trace
from move37.lab.statistics.growth_laws import LEAST, compare_laws
from tests.shortened import slow_but

TOP = 3000.0  # core-seconds
MEANS: dict[str, Callable[[float], float]] = {
    FLAT: lambda u: 0.0,
    LINEAR: lambda u: u,
    POWER: lambda u: u**0.4,
    SATURATING: lambda u: 1.0 - math.exp(-u / 0.12),
}


def amounts(law: str, campaigns: int, sd: float, seed: int) -> list[Trace]:
    rng = np.random.default_rng(seed)
    spent = np.exp(rng.uniform(math.log(0.005), 0.0, campaigns))
    return [Trace(campaign=str(i), points=((u * TOP, MEANS[law](u) + sd * rng.normal()),)) for i, u in enumerate(spent)]


def counts(law: str, campaigns: int, most: float, seed: int) -> list[Tally]:
    rng = np.random.default_rng(seed)
    grid = np.linspace(0.0, 1.0, 4001)
    grown = np.array([MEANS[law](u) for u in grid])
    found = []
    for i, end in enumerate(rng.uniform(0.3, 1.0, campaigns)):
        total = MEANS[law](end)
        when = np.interp(rng.uniform(0.0, total, rng.poisson(most * total)), grown, grid)
        found.append(Tally(campaign=str(i), found=tuple(float(u * TOP) for u in sorted(when)), until=end * TOP))
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("law", [LINEAR, POWER, SATURATING])
def test_with_enough_campaigns_the_law_behind_the_data_is_named(law: str, seed: int) -> None:
    for data in (amounts(law, 90, 0.02, seed), counts(law, 120, 6.0, seed)):
        told = compare_laws(data, draws=100)
        assert told is not None and told.supported == law, told
        assert told.campaigns == len(data) and told.shown == law


@pytest.mark.parametrize("law", slow_but([LINEAR, POWER, SATURATING], [LINEAR]))
def test_intervals_over_campaigns_hold_the_truth(law: str) -> None:
    held = 0
    for seed in range(20):
        data = amounts(law, 60, 0.05, seed)
        told, most = compare_laws(data, draws=200), max(t.points[0][0] for t in data) / TOP
        assert told is not None
        fit = next(f for f in told.fits if f.law == law)
        assert fit.growth_low is not None and fit.growth_high is not None
        held += fit.growth_low <= MEANS[law](most) - MEANS[law](0.0) <= fit.growth_high
    assert held >= 15  # 54 of 60 with 200 draws: a resampled interval is a little short


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(LEAST, 40))
def test_flat_data_are_never_called_growth(seed: int, campaigns: int) -> None:
    told = compare_laws(amounts(FLAT, campaigns, 0.05, seed), draws=60)
    assert told is not None and told.supported in ("", FLAT)


def test_flat_data_say_that_no_growth_is_shown() -> None:
    said = [compare_laws(amounts(FLAT, 80, 0.05, seed), draws=60) for seed in range(10)]
    assert all(told is not None and "No growth with compute" in told.sentence for told in said)
    assert any(told is not None and told.supported == FLAT for told in said)


def test_few_campaigns_decide_nothing_and_say_so() -> None:
    for data in (amounts(LINEAR, LEAST - 1, 0.001, 0), counts(LINEAR, LEAST - 1, 50.0, 0), counts(LINEAR, 20, 0.05, 1)):
        told = compare_laws(data, draws=40)
        assert told is not None and told.supported == "" and f"fewer than {LEAST}" in told.sentence


def test_without_compute_there_is_nothing_to_say() -> None:
    assert compare_laws([]) is None and compare_laws([Trace(campaign="1", points=((0.0, 1.0),))]) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([LINEAR, POWER, SATURATING]))
def test_the_curve_lies_within_its_interval_and_never_falls(seed: int, law: str) -> None:
    told = compare_laws(counts(law, 12, 4.0, seed), draws=60)
    assert told is not None
    middles = [m for _, m, _, _ in told.curve]
    assert middles == sorted(middles) and all(low <= high for _, _, low, high in told.curve)


@given(st.floats(0.1, 1000.0))
@settings(max_examples=10, deadline=None)
def test_the_unit_of_compute_changes_no_answer(unit: float) -> None:
    data = counts(SATURATING, 60, 5.0, 3)
    scaled = [Tally(campaign=t.campaign, found=tuple(f * unit for f in t.found), until=t.until * unit) for t in data]
    one, other = compare_laws(data, draws=40), compare_laws(scaled, draws=40)
    assert one is not None and other is not None and one.supported == other.supported
