"""Durations, counts and dollars as people write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from move37.app.limits import change_of
from move37.app.units import count, dollars, duration, seconds, spell_count, spell_seconds, typed_seconds


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172_800)]
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(("text", "value"), [("12", 12), ("50k", 50_000), ("1.5m", 1_500_000), ("50_000", 50_000)])
def test_counts(text: str, value: int) -> None:
    assert count(text) == value


@pytest.mark.parametrize("text", ["", "ten", "10 m 5", "m", "-5s", "1e3", "10x", "infs"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as"):
        seconds(text)


@given(st.integers(0, 10**12), st.sampled_from(",_"))
def test_a_number_with_its_thousands_apart_is_that_number(value: int, sign: str) -> None:
    assert count(f"{value:,}".replace(",", sign)) == value


@given(st.from_regex(r"[0-9]{1,4}([,_][0-9]{1,4}){1,3}(\.[0-9]{1,3})?[km]?", fullmatch=True))
@example("1,5m")
@example("1,5")
@example("1,50k")
@example("1_5")
@example("1500,000")
def test_a_sign_anywhere_but_before_three_digits_is_refused_with_a_form_that_works(text: str) -> None:
    first, *rest = re.split("[,_]", re.sub(r"(\.\d+)?[km]?$", "", text))
    apart = len(first) <= 3 and all(len(part) == 3 for part in rest) and len(set(re.findall("[,_]", text))) == 1
    if not apart:
        with pytest.raises(ValueError, match=r"write .* 1\.5m") as refused:
            count(text)
        with pytest.raises(ValueError, match=re.escape(str(refused.value))):
            change_of(f"tokens {text}")


@given(st.text(max_size=12))
def test_any_text_is_a_quantity_or_a_clear_refusal(text: str) -> None:
    for read in (seconds, count, dollars):
        try:
            value = read(text)
        except ValueError as error:
            value = 0 if "write" in str(error) else -1
        assert value >= 0


def test_quantities_read_well() -> None:
    assert [spell_seconds(s) for s in (0, 59.6, 185, 7_800)] == ["0 s", "1 min 00 s", "3 min 05 s", "2 h 10 min"]
    assert [spell_count(n) for n in (950, 12_300, 4_100_000)] == ["950", "12.3k", "4.1M"]


@given(st.one_of(st.integers(1, 10**7).map(float), st.integers(1, 10**6).map(lambda n: n / 1000)))
def test_seconds_are_typed_as_they_are_read_again(value: float) -> None:
    assert duration(typed_seconds(value)) == pytest.approx(value)
    assert typed_seconds(5_400.0) == "1h30m" and typed_seconds(28_800.0) == "8h"
