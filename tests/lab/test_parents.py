"""Parents: the better are drawn more often, everybody may be drawn, and a draw repeats itself."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.parents import draw_parents, effect_of
from move37.lab.records import BITS_PER_BYTE, Experiment, ExperimentStatus, Role
from tests.builders import a_candidate, a_measurement


def an_experiment(ident: str, value: float | None, *, role: Role = Role.CANDIDATE, family: str = "gla") -> Experiment:
    return Experiment(
        id=ident,
        campaign=1,
        number=1,
        role=role,
        status=ExperimentStatus.MEASURED,
        family=family,
        candidate=a_candidate(),
        measurements=() if value is None else (a_measurement(value=value),),
    )


BASELINE = an_experiment("c1-gla", 2.7, role=Role.BASELINE)
CROWD = [BASELINE, *(an_experiment(f"c1-{n:03d}", 2.6 + n / 20, family="delta" if n % 2 else "gla") for n in range(6))]


def drawn(number: int, **more: object) -> tuple[str, ...]:
    parents = draw_parents(CROWD, metric=BITS_PER_BYTE, seed=0, number=number, **more)  # type: ignore[arg-type]
    return tuple(p.experiment for p in parents)


@given(st.integers(1, 1000))
def test_a_draw_repeats_itself_and_names_nobody_twice(number: int) -> None:
    assert drawn(number) == drawn(number) and len(set(drawn(number))) == 2


def test_the_best_is_built_on_first_and_what_nobody_built_on_is_not_forgotten() -> None:
    """Upper confidence bound: each draw becomes a child of what was drawn."""
    crowd, count = list(CROWD), Counter[str]()
    for number in range(60):
        first, second = draw_parents(crowd, metric=BITS_PER_BYTE, seed=0, number=number)
        count[first.experiment] += 1
        child = replace(an_experiment(f"c2-{number}", None), parents=(first.experiment, second.experiment))
        crowd.append(replace(child, status=ExperimentStatus.RUNNING))
    assert count.most_common(1)[0][0] == "c1-000" and len(count) > 2
    assert count["c1-005"] < count["c1-000"] / 2


def test_one_generation_does_not_all_build_on_one_file() -> None:
    running = [replace(an_experiment(f"c2-{n}", None), parents=("c1-000",)) for n in range(8)]
    (first, _) = draw_parents([*CROWD, *running], metric=BITS_PER_BYTE, seed=0, number=9)
    assert first.experiment != "c1-000" and "built on 0 times" in first.why


@given(st.integers(1, 1000))
def test_two_baselines_are_parents_only_until_a_candidate_has_a_number(number: int) -> None:
    others = [an_experiment(f"c1-b{n}", 2.5 - n / 10, role=Role.BASELINE, family=f"f{n}") for n in range(4)]
    first = draw_parents(others, metric=BITS_PER_BYTE, seed=0, number=number)
    assert len(first) == 2
    weak = an_experiment("c1-001", 9.0, family="weak")
    later = draw_parents([*others, weak], metric=BITS_PER_BYTE, seed=0, number=number)
    assert "c1-001" in [p.experiment for p in later] and all(p.why for p in later)


def test_the_second_parent_is_the_best_of_another_kind() -> None:
    family = {e.id: e.family for e in CROWD}
    assert all(family[a] != family[b] for a, b in map(drawn, range(50)))
    kinds = dict.fromkeys((e.id for e in CROWD), ("gla", "small"))
    kinds["c1-005"] = ("gla", "large")
    second = draw_parents(CROWD, metric=BITS_PER_BYTE, seed=0, number=1, cell_of=lambda e: kinds[e.id])[1]
    assert second.experiment == "c1-005" and "best of its kind (gla large)" in second.why


def test_banned_ones_are_never_drawn_and_pinned_ones_always() -> None:
    assert all("c1-000" not in drawn(n, banned=("c1-000",)) for n in range(50))
    assert all(drawn(n, pinned=("c1-005",))[0] == "c1-005" for n in range(20))


def test_a_failed_experiment_is_no_parent() -> None:
    failed = replace(CROWD[1], status=ExperimentStatus.FAILED)
    assert draw_parents([failed], metric=BITS_PER_BYTE, seed=0, number=1) == ()


def test_an_effect_compares_at_equal_steps_only() -> None:
    deeper = replace(CROWD[1], measurements=(a_measurement(value=2.6), a_measurement(value=2.0, steps=500)))
    effect = effect_of(deeper, [BASELINE], BITS_PER_BYTE)
    assert effect is not None and abs(effect - 0.1) < 1e-9


def test_unmeasured_baselines_are_parents_of_the_first_experiments() -> None:
    fresh = replace(BASELINE, status=ExperimentStatus.RUNNING, measurements=())
    (parent,) = draw_parents([fresh], metric=BITS_PER_BYTE, seed=0, number=1)
    assert parent.effect is None and "not measured" in parent.why


def test_an_effect_is_taken_at_each_arms_best_sound_rate() -> None:
    """Neither a rate that diverged nor a value that is no number stands for an arm, in any order."""
    runs = (
        a_measurement(value=2.5, learning_rate=5e-3),
        a_measurement(value=2.6),
        a_measurement(value=8.0, learning_rate=2e-2, diverged=True),
        a_measurement(value=math.nan, learning_rate=3e-2),
    )
    for order in (runs, runs[::-1]):
        mine = replace(an_experiment("c1-001", None), measurements=order)
        assert effect_of(mine, [BASELINE], BITS_PER_BYTE) == pytest.approx(0.2)
        theirs = replace(BASELINE, measurements=order)
        assert effect_of(an_experiment("c1-002", 2.5), [theirs], BITS_PER_BYTE) == pytest.approx(0.0)
    broken = replace(an_experiment("c1-003", None), measurements=(a_measurement(value=8.0, diverged=True),))
    assert effect_of(broken, [BASELINE], BITS_PER_BYTE) is None
