"""What a search assumes of a metric whose noise nobody measured."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from move37.lab.records import BITS_PER_BYTE
from move37.lab.statistics.noise import NOISE, UNKNOWN_NOISE, effect_noise

EFFECTS = st.lists(st.floats(-1e3, 1e3), max_size=20)


@given(EFFECTS)
def test_a_measured_noise_is_never_outvoted(effects: list[float]) -> None:
    assert effect_noise(BITS_PER_BYTE.name, effects) == NOISE[BITS_PER_BYTE.name].across.sd


@given(EFFECTS, st.integers(-30, 30))
def test_an_unmeasured_noise_grows_with_its_effects_and_is_never_zero(effects: list[float], power: int) -> None:
    found = effect_noise("accuracy", effects)
    assert 0 < found < math.inf
    if any(abs(e) > 1e-100 for e in effects):
        assert math.isclose(effect_noise("accuracy", [e * 2.0**power for e in effects]), found * 2.0**power)
    elif not any(effects):
        assert found == UNKNOWN_NOISE


@given(st.lists(st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 0.5]), max_size=6))
def test_what_is_no_number_is_left_out(effects: list[float]) -> None:
    assert 0 < effect_noise("loss", effects) < math.inf
