"""Who climbs, at which rate, on which seeds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.halving import (
    Resolution,
    Standing,
    affordable_seeds,
    best_baseline,
    climbers,
    finalists,
    fresh_seeds,
    resolution,
    standing,
    tuned_rate,
)
from move37.lab.records import BITS_PER_BYTE, COMBINED_SCORE, Measurement
from tests.builders import a_measurement


def a_standing(experiment: str, value: float, *, diverged: bool = False) -> Standing:
    return Standing(experiment=experiment, value=value, diverged=diverged)


def test_halving_keeps_the_lowest_bits_and_the_highest_scores() -> None:
    standings = [a_standing("a", 2.9), a_standing("b", 2.5), a_standing("c", 2.7)]
    assert climbers(standings, 2, metric=BITS_PER_BYTE) == ("b", "c")
    assert climbers(standings, 2, metric=COMBINED_SCORE) == ("a", "c")


def test_who_diverged_never_climbs_even_where_there_is_room() -> None:
    standings = [a_standing("a", 1.0, diverged=True), a_standing("b", 3.0), a_standing("c", math.nan)]
    assert climbers(standings, None, metric=BITS_PER_BYTE) == ("b",)


@given(st.lists(st.floats(0, 8), max_size=20), st.integers(0, 20))
def test_nobody_who_stays_beats_anybody_who_climbs(values: list[float], keep: int) -> None:
    standings = [a_standing(str(i), v) for i, v in enumerate(values)]
    climbing = climbers(standings, keep, metric=BITS_PER_BYTE)
    assert len(climbing) == min(keep, len(values))
    by_name = {s.experiment: s.value for s in standings}
    staying = [v for name, v in by_name.items() if name not in climbing]
    assert all(by_name[c] <= v for c in climbing for v in staying)


def test_a_best_candidate_that_trails_the_baseline_is_still_confirmed() -> None:
    assert finalists([a_standing("a", 9.0), a_standing("b", 8.0)], 1, metric=BITS_PER_BYTE) == ("b",)


def test_a_standing_reads_only_its_own_steps_and_only_screening_seeds() -> None:
    runs = [a_measurement(value=3.0, steps=100), a_measurement(value=2.5, steps=200)]
    runs.append(a_measurement(value=1.0, steps=100, seed=1000, fresh=True))
    runs.append(a_measurement(metric="parity", value=0.5, steps=100))
    found = standing("a", runs, metric=BITS_PER_BYTE, steps=100)
    assert found is not None and found.value == 3.0
    assert standing("a", runs, metric=BITS_PER_BYTE, steps=500) is None


def test_a_standing_is_that_of_the_best_rate_and_a_rate_that_diverged_is_out() -> None:
    runs = [
        a_measurement(value=2.6, learning_rate=1e-2),
        a_measurement(value=2.5, learning_rate=5e-3),
        a_measurement(value=2.0, learning_rate=2e-2),
        a_measurement(value=8.0, learning_rate=2e-2, seed=1, diverged=True),
    ]
    found = standing("a", runs, metric=BITS_PER_BYTE, steps=100)
    assert found is not None and found.value == 2.5 and not found.diverged
    assert tuned_rate(runs, metric=BITS_PER_BYTE, default=1e-2) == 5e-3


def test_a_candidate_that_diverged_at_its_only_rate_has_diverged() -> None:
    found = standing("a", [a_measurement(value=8.0, diverged=True)], metric=BITS_PER_BYTE, steps=100)
    assert found is not None and found.diverged


def test_without_a_sound_run_the_rate_stays_the_default() -> None:
    assert tuned_rate([], metric=BITS_PER_BYTE, default=1e-2) == 1e-2
    assert tuned_rate([a_measurement(diverged=True)], metric=BITS_PER_BYTE, default=3e-3) == 3e-3


def test_the_rate_is_tuned_at_the_most_steps() -> None:
    runs = [a_measurement(value=1.0, learning_rate=2e-2, steps=100), a_measurement(value=2.0, steps=500)]
    assert tuned_rate(runs, metric=BITS_PER_BYTE, default=5e-3) == 1e-2


def test_the_best_baseline_is_compared_at_equal_steps() -> None:
    baselines = {
        "gdn": [a_measurement(value=3.1, steps=100), a_measurement(value=2.5, steps=500)],
        "softmax": [a_measurement(value=3.0, steps=100), a_measurement(value=2.6, steps=500)],
        "broken": [a_measurement(value=1.0, steps=500, diverged=True)],
    }
    assert best_baseline(baselines, metric=BITS_PER_BYTE, steps=100) == "softmax"
    assert best_baseline(baselines, metric=BITS_PER_BYTE, steps=500) == "gdn"
    assert best_baseline(baselines, metric=BITS_PER_BYTE, steps=200) is None


@given(st.integers(0, 12), st.integers(0, 5000), st.sets(st.integers(0, 20), max_size=10))
def test_fresh_seeds_are_distinct_and_never_screened(count: int, campaign_seed: int, screened: set[int]) -> None:
    (first,) = fresh_seeds(1, campaign_seed=campaign_seed)
    used = {first + offset for offset in screened}  # where they would be taken from
    seeds = fresh_seeds(count, campaign_seed=campaign_seed, used=used)
    assert len(set(seeds)) == count and not used & set(seeds)


@pytest.mark.parametrize("left, expected", [(None, 5), (1000.0, 5), (150.0, 5), (90.0, 3), (59.0, 0), (-3.0, 0)])
def test_as_many_fresh_seeds_as_the_time_allows_but_never_one(left: float | None, expected: int) -> None:
    """Two arms at 30 s a run on two workers: 30 s a seed."""
    assert affordable_seeds(5, arms=2, seconds_per_run=30.0, seconds_left=left, workers=2) == expected


@pytest.mark.parametrize("left, expected", [(None, 5), (1000.0, 5), (59.0, 3), (29.0, 2), (0.0, 2)])
def test_seeds_that_were_begun_stay_and_one_more_is_enough_to_go_on(left: float | None, expected: int) -> None:
    assert affordable_seeds(5, arms=2, seconds_per_run=30.0, seconds_left=left, workers=2, begun=2) == expected


values = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([2.5, 2.5, 2.6])
runs = st.lists(
    st.builds(
        a_measurement, value=values, seed=st.integers(0, 2), steps=st.sampled_from([100, 500]),
        learning_rate=st.sampled_from([5e-3, 1e-2, 2e-2]), fresh=st.booleans(), diverged=st.booleans(),
    ),
    max_size=8,
)  # fmt: skip


@given(st.lists(runs, max_size=6), st.integers(0, 6))
def test_whatever_was_measured_only_sound_numbers_climb_and_ties_keep_their_order(
    arms: list[list[Measurement]], keep: int
) -> None:
    found = [standing(str(i), arm, metric=BITS_PER_BYTE, steps=100) for i, arm in enumerate(arms)]
    standings = [s for s in found if s is not None]
    assert all(math.isfinite(s.value) or s.diverged for s in standings)
    climbing = climbers(standings, keep, metric=BITS_PER_BYTE)
    by_name = {s.experiment: s for s in standings}
    assert all(not by_name[name].diverged for name in climbing)
    ranks = [(by_name[name].value, int(name)) for name in climbing]
    assert ranks == sorted(ranks)
    best = best_baseline({str(i): arm for i, arm in enumerate(arms)}, metric=BITS_PER_BYTE, steps=100)
    assert best == next(iter(climbers(standings, 1, metric=BITS_PER_BYTE)), None)


@given(runs)
def test_a_tuned_rate_is_one_that_was_run_and_never_diverged(arm: list[Measurement]) -> None:
    rate = tuned_rate(arm, metric=BITS_PER_BYTE, default=3e-3)
    screened = [m for m in arm if not m.fresh]
    most = max((m.steps for m in screened), default=0)
    chosen = [m for m in screened if m.steps == most and m.learning_rate == rate]
    assert rate == 3e-3 or (chosen and all(math.isfinite(m.value) and not m.diverged for m in chosen))


@given(st.integers(2, 8), st.floats(0.01, 0.2), st.integers(1, 60))
@pytest.mark.slow
def test_a_confirmation_gets_the_seeds_that_the_smallest_effect_needs_or_none(
    wanted: int, smallest: float, confirmation: int
) -> None:
    arms = [[a_measurement()]]
    able = resolution(arms, metric=BITS_PER_BYTE, wanted=wanted, smallest=smallest, confirmation=confirmation, most=20)
    assert able.floor is not None and wanted <= able.seeds <= 20
    assert bool(able.refusal) == (able.floor > smallest)
    if able.refusal:
        assert able.seeds == 20 and f"{able.floor:.3g}" in able.refusal
    elif able.seeds > wanted:
        fewer = resolution(
            arms, metric=BITS_PER_BYTE, wanted=wanted, smallest=smallest, confirmation=confirmation,
            most=able.seeds - 1,
        )  # fmt: skip
        assert fewer.refusal


def test_noise_that_was_never_measured_is_read_off_repeated_seeds() -> None:
    def arm(spread: float) -> list[Measurement]:
        return [a_measurement(metric="combined_score", value=1 + spread * n, seed=n, calibrated=False) for n in (0, 1)]

    def asked(arms: list[list[Measurement]]) -> Resolution:
        return resolution(arms, metric=COMBINED_SCORE, wanted=5, smallest=0.1, confirmation=1)

    assert not asked([arm(0.0)]).refusal and not asked([arm(0.01), arm(0.02)]).refusal
    assert "scatter by" in asked([arm(1.0), arm(2.0)]).refusal
    assert asked([arm(1.0)[:1]]) == Resolution(seeds=5, floor=None)
