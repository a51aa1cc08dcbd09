"""Effects: against the right rival, under equal conditions, with a standard error that the noise supports."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.effects import base_of, conditions_of, effect_between, effects_of
from move37.lab.records import (
    BITS_PER_BYTE,
    COMBINED_SCORE,
    DECIDE,
    HELD_OUT,
    SCREEN,
    Experiment,
    ExperimentStatus,
    Measurement,
    Role,
)
from move37.lab.statistics.noise import NOISE
from tests.builders import a_candidate, a_hypothesis, a_measurement

NOISE_OF_BITS = NOISE[BITS_PER_BYTE.name]


def an_experiment(ident: str, *measurements: Measurement, role: Role = Role.CANDIDATE, **changes: Any) -> Experiment:
    fields: dict[str, Any] = {"family": "gla", "name": ident.partition("-")[2], "candidate": a_candidate()}
    return Experiment(
        id=ident, campaign=1, number=1, role=role, status=ExperimentStatus.MEASURED, measurements=measurements,
        **(fields | changes),
    )  # fmt: skip


def a_gla(*measurements: Measurement, **changes: Any) -> Experiment:
    return an_experiment("c1-gla", *measurements, role=Role.BASELINE, **changes)


def a_mamba(*measurements: Measurement) -> Experiment:
    return an_experiment("c1-mamba2", *measurements, role=Role.BASELINE, family="ssd")


def test_each_rival_is_its_own_question() -> None:
    parent = an_experiment("c1-001", a_measurement(value=2.75))
    others = [parent, a_gla(a_measurement(value=2.70)), a_mamba(a_measurement(value=2.60))]
    child = an_experiment("c1-002", a_measurement(value=2.65), parents=("c1-001", "c1-mamba2"))
    found = effects_of(child, others, BITS_PER_BYTE)
    assert found.parent and found.family and found.best
    assert (found.parent.rival, found.family.rival, found.best.rival) == ("c1-001", "c1-gla", "c1-mamba2")
    assert (found.parent.value, found.family.value, found.best.value) == pytest.approx((0.1, 0.05, -0.05))


def test_a_base_goes_before_the_first_parent_by_id_or_by_a_baselines_name() -> None:
    others = [an_experiment("c1-001"), a_gla(), a_mamba()]
    for base, expected in (("c1-gla", "c1-gla"), ("mamba2", "c1-mamba2"), ("", "c1-001"), ("no such", "c1-001")):
        child = an_experiment("c1-002", parents=("c1-001",), hypothesis=a_hypothesis(base=base))
        found = base_of(child, [*others, child])
        assert found is not None and found.id == expected


def test_an_orphan_has_no_parents_effect() -> None:
    alone = an_experiment("c1-002", a_measurement(), parents=("c1-gone",))
    assert effects_of(alone, [alone], BITS_PER_BYTE) == replace(effects_of(alone, [], BITS_PER_BYTE))
    assert effects_of(alone, [], BITS_PER_BYTE).parent is None


@given(
    ours=st.lists(st.tuples(st.sampled_from([100, 200, 500]), st.sampled_from([SCREEN, DECIDE, HELD_OUT])), max_size=5),
    theirs=st.lists(
        st.tuples(st.sampled_from([100, 200, 500]), st.sampled_from([SCREEN, DECIDE, HELD_OUT])), max_size=5
    ),
    widths=st.tuples(st.sampled_from([64, 128]), st.sampled_from([64, 128])),
)
def test_values_meet_under_equal_conditions_only(
    ours: list[tuple[int, str]], theirs: list[tuple[int, str]], widths: tuple[int, int]
) -> None:
    arms = [
        [a_measurement(steps=s, text=t, width=width) for s, t in chosen]
        for chosen, width in zip((ours, theirs), widths, strict=True)
    ]
    found = effect_between(an_experiment("a", *arms[0]), an_experiment("b", *arms[1]), BITS_PER_BYTE)
    common = {conditions_of(m) for m in arms[0]} & {conditions_of(m) for m in arms[1]}
    assert (found is None) == (not common)
    if found is not None:
        assert found.steps == max(c.steps for c in common)
        assert (found.steps, found.text) in {(c.steps, c.text) for c in common}


def test_one_point_can_be_asked_for() -> None:
    ours = [a_measurement(steps=s, value=2.7 - s / 1000) for s in (100, 500)]
    theirs = [a_measurement(steps=s, value=2.7) for s in (100, 500)]
    early = effect_between(an_experiment("a", *ours), an_experiment("b", *theirs), BITS_PER_BYTE, steps=100)
    assert early is not None and early.steps == 100 and early.value == pytest.approx(0.1)
    assert effect_between(an_experiment("a", *ours), an_experiment("b", *theirs), BITS_PER_BYTE, steps=200) is None


def test_a_clone_of_the_best_baseline_has_no_effect_against_it() -> None:
    runs = [a_measurement(value=2.5, seed=0), a_measurement(value=2.45, seed=1000, fresh=True)]
    poor = an_experiment("c1-linear", a_measurement(value=3.1), role=Role.BASELINE, family="linear")
    clone = an_experiment("c1-002", *runs, parents=("c1-gla",))
    found = effects_of(clone, [a_gla(*runs), poor], BITS_PER_BYTE)
    assert found.best and found.parent and (found.best.value, found.parent.value) == (0.0, 0.0)
    assert (found.best.rival, found.best.text) == ("c1-gla", DECIDE)


@given(seeds=st.integers(1, 12), family=st.sampled_from(["gla", "ssd"]))
def test_equal_gains_on_every_seed_leave_the_calibrated_error(seeds: int, family: str) -> None:
    ours = [a_measurement(value=2.6, seed=s) for s in range(seeds)]
    theirs = [a_measurement(value=2.7, seed=s) for s in range(seeds)]
    found = effect_between(
        an_experiment("a", *ours, family=family), an_experiment("b", *theirs), BITS_PER_BYTE
    )  # fmt: skip
    known = NOISE_OF_BITS.relatives if family == "gla" else NOISE_OF_BITS.across
    assert found is not None and found.standard_error is not None and found.seeds == seeds
    expected = known.sd * math.sqrt(known.df / (known.df + seeds - 1)) / math.sqrt(seeds)
    assert found.standard_error == pytest.approx(expected)


def test_without_calibration_one_seed_has_no_error_and_several_have_their_own() -> None:
    one = [a_measurement(calibrated=False)]
    found = effect_between(an_experiment("a", *one), an_experiment("b", *one), BITS_PER_BYTE)
    assert found is not None and found.standard_error is None and found.interval() is None
    arms = [[a_measurement(calibrated=False, seed=s, value=2.6 + k * s) for s in range(3)] for k in (0.1, 0.2)]
    found = effect_between(an_experiment("a", *arms[0]), an_experiment("b", *arms[1]), BITS_PER_BYTE)
    assert found is not None and found.standard_error == pytest.approx(0.1 / math.sqrt(3))
    low, high = found.interval() or (0, 0)
    assert low < found.value < high


def test_without_a_common_seed_the_runs_noise_counts_twice() -> None:
    ours, theirs = a_measurement(seed=1, value=2.6), a_measurement(seed=2, value=2.7)
    found = effect_between(an_experiment("a", ours), an_experiment("b", theirs), BITS_PER_BYTE)
    assert found is not None and found.standard_error == pytest.approx(NOISE_OF_BITS.run.sd * math.sqrt(2))


def test_a_rate_that_diverged_once_does_not_stand() -> None:
    ours = [
        a_measurement(value=2.4, learning_rate=2e-2, seed=0),
        a_measurement(value=8.0, learning_rate=2e-2, seed=1, diverged=True),
        a_measurement(value=2.6, learning_rate=1e-2, seed=0),
    ]
    found = effect_between(an_experiment("a", *ours), an_experiment("b", a_measurement(value=2.7)), BITS_PER_BYTE)
    assert found is not None and found.value == pytest.approx(0.1)
    broken = an_experiment("a", ours[1])
    assert effect_between(broken, an_experiment("b", a_measurement(seed=1)), BITS_PER_BYTE) is None


@pytest.mark.parametrize("fresh", [False, True])
def test_an_effect_never_holds_what_another_learning_rate_is_worth(fresh: bool) -> None:
    """A parent from before a calibration; one that was not tuned as its child was; both tuned alike."""

    def screened(**value_at: float) -> list[Measurement]:
        runs = [a_measurement(value=v, learning_rate=float(rate[1:]) / 1000) for rate, v in value_at.items()]
        best = min(runs, key=lambda m: m.value)
        return [*runs, a_measurement(value=best.value, learning_rate=best.learning_rate, fresh=True)] if fresh else runs

    def effect(ours: list[Measurement], theirs: list[Measurement]) -> float | None:
        found = effect_between(an_experiment("a", *ours), an_experiment("b", *theirs), BITS_PER_BYTE, text=SCREEN)
        decided = effect_between(an_experiment("a", *ours), an_experiment("b", *theirs), BITS_PER_BYTE)
        assert (decided is None) == (found is None) and (decided is None or decided.text == (SCREEN, DECIDE)[fresh])
        return None if found is None else round(found.value, 9)

    assert effect(screened(r20=2.5), screened(r10=2.7)) is None
    assert effect(screened(r20=2.5, r10=2.65), screened(r10=2.7)) == 0.05
    assert effect(screened(r20=2.5, r10=2.65), screened(r20=2.8, r10=2.7)) == 0.2


def test_runs_on_fresh_seeds_alone_are_each_at_the_rate_that_was_chosen_for_them() -> None:
    ours, theirs = (a_measurement(value=v, learning_rate=r, fresh=True) for v, r in ((2.5, 2e-2), (2.7, 1e-2)))
    found = effect_between(an_experiment("a", ours), an_experiment("b", theirs), BITS_PER_BYTE)
    assert found is not None and found.value == pytest.approx(0.2)


def test_a_score_gains_upwards() -> None:
    one, two = (a_measurement(metric="combined_score", value=v, steps=0, calibrated=False) for v in (2.0, 1.5))
    found = effect_between(an_experiment("a", one), an_experiment("b", two), COMBINED_SCORE)
    assert found is not None and found.value == 0.5


def test_baselines_of_the_own_campaign_go_before_those_of_others() -> None:
    lucky = replace(a_gla(a_measurement(value=2.5)), id="c0-gla", campaign=0)
    child = an_experiment("c1-002", a_measurement(value=2.6))
    found = effects_of(child, [lucky, a_gla(a_measurement(value=2.7))], BITS_PER_BYTE)
    assert found.best and found.best.rival == "c1-gla"
    found = effects_of(child, [lucky], BITS_PER_BYTE)
    assert found.best and found.best.rival == "c0-gla"
