"""Dead ends are told by changes and by the size of a loss against its noise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.memory import novelty, render
from move37.memory.found import Found
from move37.memory.records import Lesson, MeasuredEffect
from tests.memory.conftest import a_lesson, effects


def found(lesson: Lesson) -> Found:
    return Found(id=lesson.experiment, kind="analysis", score=0.0, item=lesson, why="")


def tried(*gains: tuple[float, float | None], **changes) -> list[tuple[Found, float]]:
    """Experiments with the same change, each with (gain, standard error) against its parent."""
    return [
        (found(a_lesson(experiment=f"e{n}", effects=effects(parent=gain), **changes)), 0.5)
        for n, gain in enumerate(gains)
    ]


ASKED: dict[str, Any] = {"gained": ("beta_two",), "family": "delta"}


def test_a_loss_within_its_noise_is_none():
    end = novelty.dead_end(tried((-0.0019, 0.018)), **ASKED)
    assert end.lost == () and [one.key for one in end.open] == ["e0"] and not end.is_dead


def test_one_run_is_no_dead_end_and_several_clear_losses_are():
    assert not novelty.dead_end(tried((-0.1, 0.02)), **ASKED).is_dead
    end = novelty.dead_end(tried(*[(-0.1, 0.02)] * 4), **ASKED)
    assert end.is_dead and len(end.lost) == 4 and end.evidence > 0.9
    assert "a dead end" in render.dead_end(end)


def test_a_gain_beside_losses_opens_the_end_again():
    losses = [(-0.1, 0.02)] * 4
    mixed = novelty.dead_end(tried(*losses, *[(0.1, 0.02)] * 3), **ASKED)
    assert not mixed.is_dead and len(mixed.gained) == 3
    assert mixed.evidence < novelty.dead_end(tried(*losses), **ASKED).evidence


def test_the_effect_against_the_parent_decides_and_not_the_one_against_the_best_baseline():
    """A change that closes half of a parent's gap to the best baseline gained, although it stays below the best."""
    lessons = [
        a_lesson(experiment=f"e{n}", effects=effects(parent=(0.069, 0.02), best=(-0.08, 0.02))) for n in range(4)
    ]
    end = novelty.dead_end([(found(lesson), 0.9) for lesson in lessons], **ASKED)
    assert len(end.gained) == 4 and not end.is_dead and end.evidence == 0.0


def test_another_change_in_the_same_words_says_nothing():
    near = tried(*[(-0.1, 0.02)] * 6, gained=("output_gate",))
    assert novelty.dead_end([(one, 0.99) for one, _ in near], **ASKED).posterior is None


def test_another_family_counts_less():
    losses = [(-0.1, 0.02)] * 3
    same, other = (novelty.dead_end(tried(*losses, family=family), **ASKED) for family in ("delta", "gla"))
    assert same.evidence > other.evidence > 0.0


def test_taking_an_operator_away_is_another_change_than_adding_it():
    near = tried(*[(-0.1, 0.02)] * 4, gained=(), lost=("beta_two",))
    assert novelty.dead_end(near, **ASKED).posterior is None
    assert novelty.dead_end(near, lost=("beta_two",), family="delta").is_dead


def test_a_proposal_in_prose_is_compared_by_its_words_and_counts_half():
    near = [(one, 1.0) for one, _ in tried(*[(-0.1, 0.02)] * 3)]
    prose = novelty.dead_end(near, family="delta")
    assert len(prose.lost) == 3
    assert prose.posterior is not None and prose.posterior.count == pytest.approx(1.5)


def test_what_a_gate_refused_is_told_apart_from_what_lost():
    near = [(found(a_lesson(status="failed", gate="causality", effects=effects())), 0.5)]
    end = novelty.dead_end(near, **ASKED)
    assert [one.key for one in end.refused] == ["exp-1"] and end.posterior is None and not end.is_dead
    assert end.refused[0].evidence is not None and end.refused[0].evidence.gate == "causality"


gains = st.lists(st.tuples(st.floats(-1, 1), st.floats(0.001, 1), st.floats(0.01, 1)), min_size=1, max_size=12)


@given(gains, st.floats(0.001, 1))
def test_the_posterior_lies_between_none_and_the_gains(cases: list[tuple[float, float, float]], scale: float):
    known = novelty.posterior([(MeasuredEffect(gain=g, error=e), share) for g, e, share in cases], scale=scale)
    assert known is not None
    low, high = min(0.0, *(g for g, _, _ in cases)), max(0.0, *(g for g, _, _ in cases))
    assert low - 1e-9 <= known.mean <= high + 1e-9
    assert 0.0 < known.error <= scale and 0.0 <= known.below <= 1.0


@given(gains, st.floats(0.001, 1))
def test_the_sign_of_all_gains_turned_turns_the_answer(cases: list[tuple[float, float, float]], scale: float):
    plus, minus = (
        novelty.posterior([(MeasuredEffect(gain=sign * g, error=e), share) for g, e, share in cases], scale=scale)
        for sign in (1, -1)
    )
    assert plus is not None and minus is not None
    assert plus.mean == pytest.approx(-minus.mean) and plus.below == pytest.approx(1.0 - minus.below)


def test_effects_without_an_error_prove_nothing():
    assert novelty.dead_end(tried(*[(-0.5, None)] * 6), **ASKED).posterior is None
