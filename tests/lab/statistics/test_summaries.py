"""Tests from published means: the values that others published, and Holm's correction as a property."""

from __future__ import annotations

import pytest
from benchmarks.published import track3
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.statistics.summaries import ValueSample, against, survivors


def test_the_p_values_that_a_public_table_states_come_out_of_its_means() -> None:
    found = track3()
    assert all(pair["covered"] for pair in found["pairs"]) and len(found["pairs"]) == 4
    assert [round(pair["p"], 3) for pair in found["pairs"]] == pytest.approx([0.687, 0.099, 0.342, 0.1755], abs=6e-4)
    assert (found["successive"], found["significant"], found["survive"]) == (19, 11, 10)


@given(st.floats(-1, 1), st.integers(1, 50), st.integers(1, 50), st.floats(0, 0.01))
def test_a_range_holds_its_value_and_equal_means_are_a_coin(mean: float, n: int, other: int, rounding: float) -> None:
    found = against(ValueSample(mean=mean, n=n), ValueSample(mean=mean, n=other), sd=0.1, rounding=rounding)
    assert found.value == pytest.approx(0.5) and found.low <= found.value <= found.high


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_keeps_the_smallest_at_least_bonferronis_and_at_most_the_significant(p_values: list[float]) -> None:
    kept = survivors(p_values)
    assert all(k or p > 0.05 / len(p_values) for k, p in zip(kept, p_values, strict=True))
    assert all(p <= 0.05 for k, p in zip(kept, p_values, strict=True) if k)
    ordered = sorted(zip(p_values, kept, strict=True), key=lambda pair: pair[0])
    assert [k for _, k in ordered] == sorted((k for _, k in ordered), reverse=True) or len(set(p_values)) < len(kept)
