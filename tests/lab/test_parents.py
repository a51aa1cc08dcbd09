"""Parents: the better are drawn more often, everybody may be drawn, and a draw repeats itself."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.ledger import leaderboard
from move37.lab import claims
from move37.lab.parents import Parent, draw_key, draw_parents, effect_of
from move37.lab.records import BITS_PER_BYTE, Comparison, Experiment, ExperimentStatus, Role
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


def test_the_best_baseline_is_told_as_that_and_others_by_their_distance_to_it() -> None:
    worse = replace(an_experiment("c1-ssd", 2.8, role=Role.BASELINE, family="ssd"), name="ssd")
    drawn_ones = {p.experiment: p.why for p in draw_parents([BASELINE, worse], metric=BITS_PER_BYTE, seed=0, number=1)}
    assert drawn_ones == {
        "c1-gla": "rank 1, itself the best baseline",
        "c1-ssd": "rank 2, -0.100 against the best baseline",
    }


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


def campaigns(count: int, children: int = 0) -> list[Experiment]:
    """As many campaigns with the same three baselines, and candidates of the first that were built on one of each."""
    files = [an_experiment("", 2.5 + n / 10, role=Role.BASELINE, family=f"f{n}") for n in range(3)]
    found = [replace(e, id=f"c{c}-{e.family}", campaign=c) for c in range(1, count + 1) for e in files]
    made = [replace(an_experiment(f"c1-{n:03d}", 2.4), parents=(f"c{n % count + 1}-f0",)) for n in range(children)]
    return [*found, *made]


@given(st.integers(2, 4), st.integers(0, 6), st.integers(1, 500))
def test_baselines_of_several_campaigns_are_drawn_as_those_of_one(count: int, children: int, number: int) -> None:
    """Their children, whichever campaign's they name, are counted together."""
    one, several = (
        draw_parents(campaigns(n, children), metric=BITS_PER_BYTE, seed=0, number=number, count=3) for n in (1, count)
    )
    assert [(name(p.experiment), p.why) for p in one] == [(name(p.experiment), p.why) for p in several]
    assert {p.experiment[:2] for p in several if "-f" in p.experiment} <= {f"c{count}"}


def name(ident: str) -> str:
    return ident.partition("-")[2]


@pytest.mark.parametrize("ident", [e.id for e in campaigns(3, children=2)])
def test_any_id_of_equal_baselines_bans_or_pins_the_one_that_stands_for_them(ident: str) -> None:
    crowd = campaigns(3, children=2)
    (pinned, _) = draw_parents(crowd, metric=BITS_PER_BYTE, seed=0, number=1, pinned=[ident])
    assert name(pinned.experiment) == name(ident)
    rest = draw_parents(crowd, metric=BITS_PER_BYTE, seed=0, number=1, banned=[ident], count=9)
    assert len(rest) == 4 and name(ident) not in [name(p.experiment) for p in rest]


def test_a_leaderboard_has_one_row_for_what_several_campaigns_measured() -> None:
    rows = leaderboard(campaigns(3, children=2), BITS_PER_BYTE)[100]
    assert sorted(row.experiment for row in rows) == ["c1-000", "c1-001", "c3-f0", "c3-f1", "c3-f2"]


def test_the_first_campaign_draws_as_before_and_a_later_one_draws_otherwise() -> None:
    """With one seed, experiment n of the second campaign had the draws of experiment n of the first."""
    assert {draw_key(7, n, 1) for n in range(9)} == {f"7:{n}" for n in range(9)}
    every = [draw_key(seed, n, c) for seed in range(3) for n in range(1, 30) for c in range(1, 5)]
    assert len({*every}) == len(every)
    crowd = campaigns(1)
    drawn_by = [
        [tuple(p.experiment for p in _drawn(crowd, number, campaign)) for number in range(1, 30)]
        for campaign in (1, 2, 3)
    ]
    assert drawn_by[0] == [tuple(p.experiment for p in _drawn(crowd, number)) for number in range(1, 30)]
    assert drawn_by[0] != drawn_by[1] != drawn_by[2]


def _drawn(crowd: list[Experiment], number: int, campaign: int = 1) -> tuple[Parent, ...]:
    return draw_parents(crowd, metric=BITS_PER_BYTE, seed=7, number=number, campaign=campaign)


def test_a_failed_experiment_is_no_parent() -> None:
    failed = replace(CROWD[1], status=ExperimentStatus.FAILED)
    assert draw_parents([failed], metric=BITS_PER_BYTE, seed=0, number=1) == ()


def test_an_effect_compares_at_equal_steps_only() -> None:
    deeper = replace(CROWD[1], measurements=(a_measurement(value=2.6), a_measurement(value=2.0, steps=500)))
    effect = effect_of(deeper, [BASELINE], BITS_PER_BYTE)
    assert effect is not None and abs(effect - 0.1) < 1e-9


def asked(experiment: Experiment, error: float = 0.02, **effects: float) -> Experiment:
    """With a claim: what fresh seeds gave by question."""
    comparisons = [
        Comparison(
            question=question, rival="c1-gla", name="gla", effect=effect, low=effect - error, high=effect + error,
            confidence=0.97, seeds=5,
        )
        for question, effect in effects.items()
    ]  # fmt: skip
    claim = claims.settled(experiment.id, "a part", comparisons, confirmation=1, missing={}, core_seconds=1.0)
    return replace(experiment, claim=claim)


@pytest.mark.parametrize("question", [q for q in claims.QUESTIONS if q not in (claims.BASELINE, claims.ABLATION)])
def test_a_gain_that_a_claim_saw_vanish_makes_no_best_parent(question: str) -> None:
    """Before, the best is drawn first; after, whoever is best of those whom nothing refuted."""
    best, *others = sorted(CROWD[1:], key=lambda e: e.measurements[0].value)
    assert draw_parents(CROWD, metric=BITS_PER_BYTE, seed=0, number=1)[0].experiment == best.id
    refuted = asked(best, **{claims.BASELINE: 0.09, question: -0.02})
    assert refuted.claim is not None
    (failed,) = [c for c in refuted.claim.comparisons if c.question == question]
    assert effect_of(refuted, [BASELINE], BITS_PER_BYTE) == -0.02
    (first, _) = draw_parents([BASELINE, refuted, *others], metric=BITS_PER_BYTE, seed=0, number=1)
    assert first.experiment == others[0].id
    (pinned,) = draw_parents([BASELINE, refuted], metric=BITS_PER_BYTE, seed=0, number=1, count=1, banned=["c1-gla"])
    assert pinned.effect == -0.02 and claims.words_of(failed) in pinned.why


def test_what_held_on_fresh_seeds_stays_the_best_parent() -> None:
    """By its screen, as the others: fresh seeds take the luck of a screen from those alone who failed."""
    best, *others = sorted(CROWD[1:], key=lambda e: e.measurements[0].value)
    for effects in (dict.fromkeys(claims.QUESTIONS, 0.04), {claims.BASELINE: 0.04, claims.ABLATION: 0.001}):
        held = asked(best, **effects)
        assert effect_of(held, [BASELINE], BITS_PER_BYTE) == pytest.approx(0.1)
        (first, _) = draw_parents([BASELINE, held, *others], metric=BITS_PER_BYTE, seed=0, number=1)
        assert first.experiment == best.id


def test_who_failed_on_fresh_seeds_with_a_large_gain_stands_no_higher_than_its_screen() -> None:
    unclear = asked(CROWD[1], error=9.0, **{claims.SECOND_CORPUS: 5.0})
    assert effect_of(unclear, [BASELINE], BITS_PER_BYTE) == pytest.approx(0.1)


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


def test_a_candidate_is_beside_the_baselines_of_its_own_campaign_when_another_one_was_calibrated() -> None:
    theirs = an_experiment("c2-gla", 2.4, role=Role.BASELINE)
    later = replace(theirs, campaign=2, measurements=tuple(replace(m, learning_rate=2e-2) for m in theirs.measurements))
    mine = an_experiment("c1-001", 2.6)
    own = an_experiment("c1-gla", 2.7, role=Role.BASELINE)
    assert effect_of(mine, [own, later], BITS_PER_BYTE) == pytest.approx(0.1)
    assert effect_of(mine, [later], BITS_PER_BYTE) == pytest.approx(-0.2), "where its campaign has none"
