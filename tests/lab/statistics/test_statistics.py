"""Intervals, luck and power: against published figures, against simulation, and as properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from move37.lab.statistics.many import adjusted_confidence, expected_maximum, expected_records, luck
from move37.lab.statistics.noise import NOISE, Calibration
from move37.lab.statistics.paired import differences, interval
from move37.lab.statistics.power import minimum_detectable_effect, power

ACROSS_FAMILIES = NOISE["bits_per_byte"].across
numbers = st.floats(-10, 10, allow_nan=False)


def coverage(
    n: int, *, sd: float, calibration: Calibration | None, confidence: float = 0.95, draws: int = 2000
) -> float:
    rng = np.random.default_rng(5)
    inside = 0
    for values in rng.normal(0.3, sd, size=(draws, n)):
        found = interval(values.tolist(), calibration=calibration, confidence=confidence)
        assert found is not None
        inside += found.low <= 0.3 <= found.high
    return inside / draws


@pytest.mark.parametrize("n", [3, 5, 8])
def test_a_95_percent_interval_holds_the_truth_in_95_of_100_cases(n: int) -> None:
    assert coverage(n, sd=0.5, calibration=None) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_a_calibrated_interval_never_covers_less_than_it_says_when_the_calibration_is_right(n: int) -> None:
    assert coverage(n, sd=ACROSS_FAMILIES.sd, calibration=ACROSS_FAMILIES) >= 0.94


def test_a_calibration_that_is_twice_too_small_costs_coverage_but_not_much() -> None:
    """The price of pooling, stated: five seeds, true sd twice the calibrated one."""
    assert 0.85 < coverage(5, sd=2 * ACROSS_FAMILIES.sd, calibration=ACROSS_FAMILIES) < 0.95


def test_a_calibrated_interval_is_narrower_than_t_on_three_seeds() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for values in rng.normal(0, ACROSS_FAMILIES.sd, size=(400, 3)):
        plain, pooled = interval(values.tolist()), interval(values.tolist(), calibration=ACROSS_FAMILIES)
        assert plain and pooled
        widths.append((plain.high - plain.low, pooled.high - pooled.low))
    plain_width, pooled_width = np.mean(widths, axis=0)
    assert pooled_width < 0.7 * plain_width


@given(st.lists(numbers, min_size=2, max_size=12), st.floats(-5, 5))
def test_an_interval_moves_with_its_values(values: list[float], shift: float) -> None:
    here, there = interval(values), interval([v + shift for v in values])
    assert here and there
    assert here.low - 1e-9 <= here.mean <= here.high + 1e-9
    assert there.mean == pytest.approx(here.mean + shift, abs=1e-9)
    assert there.high - there.low == pytest.approx(here.high - here.low, abs=1e-6)


@given(st.lists(numbers, min_size=2, max_size=12), st.integers(1, 500))
def test_the_more_were_tried_the_wider_the_interval(values: list[float], tried: int) -> None:
    once = interval(values, confidence=adjusted_confidence(1))
    many = interval(values, confidence=adjusted_confidence(tried))
    assert once and many and many.high - many.low >= once.high - once.low - 1e-12


def test_a_plain_interval_is_the_textbook_one() -> None:
    values = [1.0, 2.0, 4.0, 7.0]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    found = interval(values)
    assert found and found.low == pytest.approx(low) and found.high == pytest.approx(high)


def test_one_seed_has_no_interval_of_its_own_and_none_has_none_at_all() -> None:
    assert interval([2.5]) is None
    assert interval([]) is None
    assert interval([], calibration=ACROSS_FAMILIES) is None
    assert interval([2.5], calibration=ACROSS_FAMILIES) is not None


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        interval([1.0, math.nan])


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_outside_0_and_1_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        interval([1.0, 2.0], confidence=confidence)


def test_only_seeds_that_both_arms_have_are_paired() -> None:
    assert differences({1: 2.0, 2: 3.0, 9: 0.0}, {2: 1.0, 1: 1.5, 4: 0.0}) == (0.5, 2.0)
    assert interval(differences({1: 2.0}, {2: 1.0})) is None


def test_pairing_removes_what_seeds_share() -> None:
    shared = {seed: float(seed) for seed in range(6)}
    better = {seed: value - 0.1 for seed, value in shared.items()}
    found = interval(differences(better, shared))
    assert found and found.high < 0 and found.mean == pytest.approx(-0.1)


def test_correcting_for_many_keeps_the_error_of_the_whole_family() -> None:
    """With 12 worthless candidates, some corrected interval excludes zero in at most 5 of 100 campaigns."""
    rng = np.random.default_rng(2)
    wrong = 0
    for campaign in rng.normal(size=(600, 12, 5)):
        found = [interval(values.tolist(), confidence=adjusted_confidence(12)) for values in campaign]
        wrong += any(f is not None and (f.low > 0 or f.high < 0) for f in found)
    assert wrong / 600 == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize("tried, expected", [(1, 0.0), (2, 1 / math.sqrt(math.pi)), (200, 2.746)])
def test_the_expected_maximum_is_the_known_one(tried: int, expected: float) -> None:
    assert expected_maximum(tried) == pytest.approx(expected, abs=1e-3)


def test_luck_agrees_with_simulation() -> None:
    best = np.random.default_rng(3).normal(0, 0.018, size=(20_000, 12)).max(axis=1).mean()
    assert luck(12, 0.018) == pytest.approx(best, rel=0.02)


def test_keep_if_better_keeps_six_of_two_hundred_worthless_ideas() -> None:
    assert expected_records(200) == pytest.approx(5.88, abs=0.01)


@pytest.mark.parametrize(
    "sd, expected", [(0.0243, {3: 0.079, 5: 0.041, 8: 0.028}), (0.0141, {3: 0.046, 5: 0.024, 8: 0.016})]
)
def test_the_minimum_detectable_effects_are_those_that_were_measured(sd: float, expected: dict[int, float]) -> None:
    for n, effect in expected.items():
        assert minimum_detectable_effect(n, sd=sd) == pytest.approx(effect, abs=0.0006)


def test_power_agrees_with_simulation() -> None:
    rng = np.random.default_rng(4)
    samples = rng.normal(0.04, 0.0243, size=(4000, 5))
    found = np.mean(stats.ttest_1samp(samples, 0.0, axis=1).pvalue < 0.05)
    assert power(0.04, n=5, sd=0.0243) == pytest.approx(found, abs=0.02)


def test_without_an_effect_power_is_the_error_rate() -> None:
    assert power(0.0, n=6, sd=1.0) == pytest.approx(0.05, abs=1e-3)


@given(st.integers(2, 30), st.floats(0.01, 2.0), st.floats(0.01, 2.0))
def test_more_seeds_never_find_less(n: int, effect: float, sd: float) -> None:
    assert power(effect, n=n + 1, sd=sd) >= power(effect, n=n, sd=sd) - 1e-5  # the grid over sds


def test_the_detectable_effect_is_found_with_the_power_that_was_asked_for() -> None:
    for n in (2, 7, 30):
        assert power(minimum_detectable_effect(n, sd=0.02), n=n, sd=0.02) == pytest.approx(0.8, abs=1e-3)


def test_a_calibration_counts_in_what_two_seeds_can_find() -> None:
    """By a t test of its own, two of them find nothing below a hundred standard deviations, corrected for twelve."""
    assert minimum_detectable_effect(2, sd=0.02, confidence=adjusted_confidence(12)) > 1.0
    assert minimum_detectable_effect(2, sd=0.02, confidence=adjusted_confidence(12), df=5.0) < 0.12


def test_without_noise_every_effect_shows() -> None:
    assert power(0.1, n=3, sd=0.0) == 1.0 and power(0.0, n=3, sd=0.0) == 0.0
    assert minimum_detectable_effect(3, sd=0.0) == 0.0


@pytest.mark.parametrize("n, tried", [(2, 12), (5, 12), (8, 60)])
def test_a_corrected_calibrated_interval_keeps_what_it_promises_on_pairs_without_an_effect(n: int, tried: int) -> None:
    """Both ends of a claim: worthless candidates are called better in at most 2.5 of 100 campaigns."""
    rng = np.random.default_rng(6)
    draws, calibration = 20_000, ACROSS_FAMILIES
    values = rng.normal(0.0, calibration.sd, size=(draws, n))
    df = calibration.df + n - 1
    sd = np.sqrt((calibration.df * calibration.sd**2 + ((values - values.mean(1, keepdims=True)) ** 2).sum(1)) / df)
    lower = values.mean(1) - stats.t.ppf(0.5 + adjusted_confidence(tried) / 2, df) * sd / math.sqrt(n)
    found = interval(values[0].tolist(), confidence=adjusted_confidence(tried), calibration=calibration)
    assert found is not None and found.low == pytest.approx(lower[0])
    assert tried * np.mean(lower > 0) < 0.03


def test_one_seed_detects_nothing() -> None:
    assert power(100.0, n=1, sd=1.0) == 0.0
    assert minimum_detectable_effect(1, sd=1.0) == math.inf
