"""The best rate of an arm: compared on common seeds, so that further seeds of one rate neither help nor harm it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from move37.lab.effects import effect_between
from move37.lab.halving import standing, tuned_rate
from move37.lab.rates import best_rate
from move37.lab.records import BITS_PER_BYTE, Measurement
from move37.lab.summary import summarise
from tests.app.views.test_leaderboard import an_experiment
from tests.builders import a_measurement

RATES = (5e-3, 1e-2, 2e-2)


def runs(values: dict[float, list[float]]) -> list[Measurement]:
    return [
        a_measurement(value=v, learning_rate=rate, seed=seed)
        for rate, own in values.items()
        for seed, v in enumerate(own)
    ]


def test_more_seeds_at_another_rate_do_not_take_the_best_ones_place_in_any_number() -> None:
    arm = runs({1e-2: [2.6, 2.6], 5e-3: [2.5]})
    assert tuned_rate(arm, metric=BITS_PER_BYTE, default=1e-2) == 5e-3
    rival = an_experiment("b", *runs({1e-2: [2.7], 5e-3: [2.8]}))
    effect = effect_between(an_experiment("a", *arm), rival, BITS_PER_BYTE)
    found = standing("a", arm, metric=BITS_PER_BYTE, steps=100)
    assert effect is not None and found is not None
    assert (round(effect.value, 6), found.value, summarise(arm)["bits_per_byte"].mean) == (0.2, 2.5, 2.5)


@given(
    st.lists(st.floats(2, 3), min_size=3, max_size=3), st.lists(st.floats(2, 3), min_size=1, max_size=4), st.booleans()
)
def test_what_is_measured_again_stays_the_choice_and_counts_with_all_its_seeds(
    first: list[float], more: list[float], higher_is_better: bool
) -> None:
    by_rate = {rate: [a_measurement(value=v, learning_rate=rate)] for rate, v in zip(RATES, first, strict=True)}
    best = best_rate(by_rate, higher_is_better=higher_is_better)
    assert best is not None
    by_rate[best] += [a_measurement(value=v, learning_rate=best, seed=n) for n, v in enumerate(more, start=1)]
    assert best_rate(by_rate, higher_is_better=higher_is_better) == best
    if not higher_is_better:
        arm = [m for runs in by_rate.values() for m in runs]
        found = standing("a", arm, metric=BITS_PER_BYTE, steps=100)
        every = [m.value for m in by_rate[best]]
        assert found is not None and abs(found.value - sum(every) / len(every)) < 1e-9


def test_without_common_seeds_the_rate_with_the_most_of_them_counts_and_a_diverged_one_never() -> None:
    apart = {5e-3: [a_measurement(value=2.0, seed=7)], 1e-2: [a_measurement(value=2.5, seed=s) for s in (0, 1)]}
    assert best_rate(apart, higher_is_better=False) == 1e-2
    wild = {2e-2: [a_measurement(value=1.0, diverged=True)]}
    assert best_rate(apart | wild, higher_is_better=False) == 1e-2 and best_rate(wild, higher_is_better=False) is None
