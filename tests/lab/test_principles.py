"""The record gives an operator what is its own, keeps what the interval supports, and lets go of the rest."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.principles import MOST, OperatorRecord, Trial, kept, operator_effects
from move37.lab.records import BITS_PER_BYTE, Principle

NOISE = 0.025


def a_trial(
    number: int, gained: str = "", lost: str = "", effect: float = 0.0, family: str = "gla", se: float = NOISE,
    steps: int = 100,
) -> Trial:  # fmt: skip
    return Trial(
        experiment=f"c1-{number:03d}",
        family=family,
        gained=frozenset(gained.split()),
        lost=frozenset(lost.split()),
        effect=effect,
        standard_error=se,
        steps=steps,
    )


def effects(trials: list[Trial]) -> dict[tuple[str, str], float]:
    return {(e.operator, e.family): e.mean for e in operator_effects(OperatorRecord(trials, NOISE))}


def test_a_companion_of_a_good_operator_is_not_credited_with_it() -> None:
    trials = [a_trial(i, "conv gate", effect=0.10) for i in range(4)]
    trials += [a_trial(10 + i, "gate", effect=0.0) for i in range(4)]
    found = effects(trials)
    assert found["conv", "gla"] > 0.07 and abs(found["gate", "gla"]) < 0.02


def test_taking_an_operator_away_is_evidence_about_it_too() -> None:
    assert effects([a_trial(i, lost="conv", effect=-0.1) for i in range(3)])["conv", "gla"] > 0.05


def test_worthless_operators_seldom_become_principles() -> None:
    found = 0
    for seed in range(100):
        rng = random.Random(seed)
        names = [f"o{i}" for i in range(6)]
        trials = [a_trial(i, " ".join(rng.sample(names, 2)), effect=rng.gauss(0, NOISE)) for i in range(30)]
        found += len(kept(operator_effects(OperatorRecord(trials, NOISE)), (), metric=BITS_PER_BYTE, names={}))
    assert found / 600 <= 0.12  # six intervals of 90 % in each of a hundred records


def test_an_operator_that_nobody_tried_is_expected_to_be_like_those_that_were() -> None:
    record = OperatorRecord([a_trial(i, f"o{i}", effect=-0.1) for i in range(12)], NOISE)
    untried, none = frozenset({"router"}), frozenset[str]()
    assert record.adding < -0.05 and record.effect(untried, none, "gla")[0] == record.adding
    assert record.effect(none, untried, "gla")[0] == 0.0, "taking one out is no putting in"
    assert record.effect(frozenset({"o1"}), none, "gla")[0] < record.adding + 0.05


def test_a_forecast_for_what_was_never_tried_is_wide_and_in_the_middle() -> None:
    record = OperatorRecord([a_trial(1, "conv", effect=0.1), a_trial(2, "conv", effect=0.1)], NOISE)
    mean, sd = record.effect(frozenset({"router"}), frozenset(), "gla")
    known, narrow = record.effect(frozenset({"conv"}), frozenset(), "gla")
    assert 0.0 < mean < known and sd > narrow and known > 0.05
    assert OperatorRecord([], NOISE).effect(frozenset({"conv"}), frozenset(), "gla")[0] == 0.0


def test_an_effect_without_a_family_is_the_main_effect_once() -> None:
    """`conv` is worth .1 in every family, so it is worth .1 in none."""
    trials = [a_trial(10 * f + i, "conv", effect=0.1, family=str(f)) for f in range(5) for i in range(4)]
    mean, sd = OperatorRecord(trials, NOISE).effect(frozenset({"conv"}), frozenset(), "")
    named, narrower = OperatorRecord(trials, NOISE).effect(frozenset({"conv"}), frozenset(), "1")
    assert 0.07 < mean < 0.11 and abs(mean - named) < 0.02 and sd > narrower


@given(st.integers(0, 1000), st.integers(-20, 20))
def test_the_record_is_the_same_in_any_unit(seed: int, power: int) -> None:
    rng, unit = random.Random(seed), 2.0**power
    names = [f"o{i}" for i in range(5)]
    drawn = [(" ".join(rng.sample(names, 2)), rng.gauss(0, 0.1)) for _ in range(12)]

    def fitted(factor: float) -> OperatorRecord:
        trials = [a_trial(i, o, effect=e * factor, se=NOISE * factor) for i, (o, e) in enumerate(drawn)]
        return OperatorRecord(trials, NOISE * factor)

    one, other = fitted(1.0), fitted(unit)
    assert other.scale == one.scale * unit and other.scatter == one.scatter * unit
    for operator in [*names, "never tried"]:
        mean, sd = one.effect(frozenset({operator}), frozenset(), "gla")
        assert other.effect(frozenset({operator}), frozenset(), "gla") == pytest.approx((mean * unit, sd * unit))


def test_the_size_of_effects_is_read_off_the_trials() -> None:
    """Ten operators, each alone, four times: a prior for effects of the noise's size would call these impossible."""
    rng = random.Random(0)
    worth = {f"o{i}": rng.gauss(0, 0.4) for i in range(10)}
    trials = [a_trial(10 * n + k, o, effect=w) for n, (o, w) in enumerate(worth.items()) for k in range(4)]
    assert OperatorRecord(trials, NOISE).scale > 6 * NOISE
    quiet = [a_trial(n, f"o{n % 10}", effect=rng.gauss(0, NOISE)) for n in range(40)]
    assert OperatorRecord(quiet, NOISE).scale <= 2 * NOISE


def test_another_family_learns_part_of_what_this_one_showed() -> None:
    record = OperatorRecord([a_trial(i, "conv", effect=0.1) for i in range(4)], NOISE)
    here, there = (record.effect(frozenset({"conv"}), frozenset(), f)[0] for f in ("gla", "delta"))
    assert 0.02 < there < here


def test_a_principle_needs_two_experiments_and_names_those_for_and_against() -> None:
    one = [a_trial(1, "conv", effect=0.2)]
    assert not kept(operator_effects(OperatorRecord(one, NOISE)), (), metric=BITS_PER_BYTE, names={})
    more = [*one, *(a_trial(2 + i, "conv", effect=e) for i, e in enumerate((0.15, 0.18, 0.13, -0.01)))]
    found = kept(operator_effects(OperatorRecord(more, NOISE)), (), metric=BITS_PER_BYTE, names={"conv": "a taps"})
    assert [p.id for p in found] == ["conv@gla"] and "a taps" in found[0].text
    assert found[0].supports == tuple(f"c1-{n:03d}" for n in range(1, 5))
    assert found[0].contradicts == ("c1-005",)


@pytest.mark.parametrize(("steps", "said"), [((100, 100), "after 100 steps"), ((500, 100), "after 100 to 500 steps")])
def test_a_principle_says_after_how_many_steps(steps: tuple[int, int], said: str) -> None:
    trials = [a_trial(number, "conv", effect=0.1, steps=count) for number, count in enumerate(steps)]
    trials.append(a_trial(9, "gate", effect=0.1, steps=2000))
    found = kept(operator_effects(OperatorRecord(trials, NOISE)), (), metric=BITS_PER_BYTE, names={})
    assert [said in p.text for p in found] == [True]


def test_a_principle_is_struck_with_the_reason_when_the_evidence_turns() -> None:
    trials = [a_trial(i, "conv", effect=0.1) for i in range(2)]
    before = kept(operator_effects(OperatorRecord(trials, NOISE)), (), metric=BITS_PER_BYTE, names={})
    trials += [a_trial(10 + i, "conv", effect=-0.1) for i in range(2)]
    after = kept(operator_effects(OperatorRecord(trials, NOISE)), before, metric=BITS_PER_BYTE, names={})
    assert [p.id for p in after if p.struck] == ["conv@gla"] and "zero" in after[0].struck
    assert not kept(operator_effects(OperatorRecord(trials, NOISE)), after, metric=BITS_PER_BYTE, names={})


def test_at_most_twenty_stand_and_another_authors_are_left_alone() -> None:
    theirs = Principle(id="p1", text="Keep the state small.", author="model")
    trials = [a_trial(100 * i + k, f"o{i}", effect=0.3) for i in range(30) for k in range(3)]
    found = kept(operator_effects(OperatorRecord(trials, NOISE)), (theirs,), metric=BITS_PER_BYTE, names={})
    assert theirs in found and sum(not p.struck for p in found) == MOST


@pytest.mark.parametrize("trials", [[], [a_trial(1)]], ids=["none", "nothing changed"])
def test_without_evidence_there_is_nothing_to_say(trials: list[Trial]) -> None:
    assert operator_effects(OperatorRecord(trials, NOISE)) == ()
