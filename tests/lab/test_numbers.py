"""Numbers show what their spread makes worth reading."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.comparisons import Rival
from move37.lab.numbers import DigitScale, effect_scale, number, signed
from move37.lab.records import Effect, Metric
from move37.lab.verdicts import confirm_verdict, screen_verdict
from tests.builders import a_measurement
from tests.house import ROOT, sources

SANE = st.floats(-1e12, 1e12, allow_subnormal=False).filter(lambda v: v == 0 or abs(v) > 1e-12)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([2.515, 2.518, 2.522, 2.86], ["2.515", "2.518", "2.522", "2.860"]),
        ([2.635, 2.6358], ["2.63500", "2.63580"]),
        ([1.661e-06], ["1.661e-06"]),
        ([1.661e-06, 1.659e-06], ["1.66100e-06", "1.65900e-06"]),
        ([0.5], ["0.5000"]),
        ([12_345.0, 13_345.0], ["12,345", "13,345"]),
        ([0.0], ["0.000"]),
        ([-29.677771854069828, -29.677771854069839], ["-29.68", "-29.68"]),  # rounding alone
    ],
)
def test_the_digits_follow_the_spread(values: list[float], shown: list[str]) -> None:
    scale = DigitScale.of(values)
    assert [scale.text(v) for v in values] == shown


@given(st.lists(SANE, min_size=2, max_size=20, unique=True))
def test_no_group_is_written_as_one_number(values: list[float]) -> None:
    """Where half of the values lie apart by more than the machine's precision, the ends are told apart."""
    scale = DigitScale.of(values)
    low, high = min(values), max(values)
    if high - low > 1e-9 * max(abs(low), abs(high)):
        assert scale.text(low) != scale.text(high)


@given(st.lists(SANE | st.sampled_from([float("nan"), float("inf")]), max_size=8))
def test_any_numbers_can_be_written(values: list[float]) -> None:
    scale = DigitScale.of(values)
    for value in values:
        assert scale.text(value) and scale.signed(value) and number(value)


def test_differences_carry_their_sign_and_intervals_their_bounds() -> None:
    scale = DigitScale(3)
    assert scale.signed(0.01) == "+0.010" and scale.bounds(-0.01, 0.03, signed=True) == "[-0.010, +0.030]"
    assert scale.bounds(None, 1.0) == "" and scale.text(None) == "–"


@given(st.floats(0.001, 1.0), st.integers(1, 6), st.sampled_from([0, -6]), st.sampled_from([-1, 1]))
def test_a_bound_of_a_difference_shows_on_which_side_of_zero_it_lies(
    share: float, places: int, power: int, side: int
) -> None:
    scale = DigitScale(places, power=power)
    bound = side * share * 10.0 ** (power - places)
    low, high = sorted((bound, bound * 7))
    told = scale.bounds(low, high, signed=True).strip("[]").split(", ")
    assert [word[0] for word in told] == ["-" if side < 0 else "+"] * 2
    assert scale.bounds(0.0, 0.25, signed=True).startswith("[0.0")  # of nothing there is no side


@given(st.floats(-0.0499, 0.0499), st.integers(1, 6))
def test_what_is_rounded_to_zero_has_no_sign(share: float, places: int) -> None:
    nothing = share * 10.0 ** (1 - places)  # rounds to zero at so many places
    for scale in (DigitScale(places), DigitScale(places, power=-6)):
        for value in (nothing * 10.0**scale.power, 0.0, -0.0):
            for said in (scale.text(value), scale.signed(value), scale.bounds(value, value)):
                assert not re.search(r"[-+]0\.", said)
    assert signed(nothing, f".{places}f") == f"{0:.{places}f}" and signed(-0.0) == signed(0.0) == "0.000"
    assert number(-0.0) == "0" and signed(-0.004, ".0%") == "0%"


@pytest.mark.parametrize("room", ["app", "agents", "lab"])
def test_a_signed_number_of_fixed_places_is_written_by_this_file_alone(room: str) -> None:
    """Elsewhere -0.0004 would be written as -0.000."""
    files = [path for path in sources() if path.parts[len(ROOT.parts)] == room and path.name != "numbers.py"]
    found = [(p.name, said) for p in files for said in re.findall(r":\+\.\d+[f%]\}", p.read_text(encoding="utf-8"))]
    assert len(files) > 50 and not found


@given(st.floats(1e-9, 1e9), st.booleans())
def test_a_verdict_about_a_metric_of_any_size_names_a_number_that_is_not_zero(effect: float, fresh: bool) -> None:
    metric = Metric(name="score", unit="points", higher_is_better=True)
    arms = [
        [a_measurement(metric="score", value=v, seed=s, fresh=fresh, calibrated=False) for s in range(1 + 2 * fresh)]
        for v in (2 * effect, effect)
    ]
    if fresh:
        verdict = confirm_verdict(
            metric=metric, candidate=arms[0], rivals=[Rival(id="b", name="b", measurements=arms[1])], tried=1,
            confirmation=1,
        )  # fmt: skip
    else:
        verdict = screen_verdict(
            metric=metric, candidate=arms[0], baseline=arms[1], baseline_id="b", baseline_name="b", tried=1
        )
    assert verdict is not None
    said = re.findall(r"([-+\d.,e]+)(?: \[[^]]*\])? points", verdict.text)
    assert said and float(said[0].replace(",", "")) == pytest.approx(effect, rel=0.05)


@given(st.floats(-5, 5, allow_subnormal=False), st.none() | st.floats(1e-6, 5))
def test_an_effect_is_as_fine_as_its_error(value: float, error: float | None) -> None:
    effect = Effect(rival="b", value=value, standard_error=error, steps=100, text="screen", seeds=1)
    shown = float(effect_scale(effect).signed(value).replace(",", ""))
    assert abs(shown - value) <= (error / 10 if error else abs(value) / 10)
