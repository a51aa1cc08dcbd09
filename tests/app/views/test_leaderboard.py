"""Groups hold what compares, each against one rival at equal seeds; nothing is ranked across them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.app.views.leaderboard import board_of, terms_of
from move37.app.views.search import front
from move37.lab.records import BITS_PER_BYTE, COMBINED_SCORE, DECIDE, SCREEN, Experiment, ExperimentStatus, Role
from tests.builders import a_measurement, a_verdict


def an_experiment(ident: str, *runs: Any, role: Role = Role.CANDIDATE, **more: Any) -> Experiment:
    fields: dict[str, Any] = {"campaign": 1, "number": 1, "status": ExperimentStatus.MEASURED, "name": ident}
    return Experiment(id=ident, role=role, measurements=tuple(runs), **(fields | more))


RUNS = st.builds(
    lambda value, steps, text, fresh, seed, diverged: a_measurement(
        value=value, steps=steps, text=text, fresh=fresh, seed=seed, diverged=diverged
    ),
    st.floats(1, 9),
    st.sampled_from([100, 500]),
    st.sampled_from([SCREEN, DECIDE]),
    st.booleans(),
    st.integers(0, 2),
    st.booleans(),
)
SOME = st.lists(
    st.tuples(st.lists(RUNS, max_size=5), st.sampled_from(list(Role)), st.sampled_from(list(ExperimentStatus))),
    max_size=6,
)


@given(SOME)
def test_a_group_holds_equal_terms_and_is_ordered(found: list[Any]) -> None:
    experiments = [an_experiment(f"e{i}", *runs, role=r, status=s) for i, (runs, r, s) in enumerate(found)]
    board = board_of(experiments, BITS_PER_BYTE)
    for group in board.groups:
        values = [p.summary.mean for p in group.places if not p.summary.diverged]
        assert values == sorted(values)
        for place in group.places:
            assert group.terms in {terms_of(m) for m in place.experiment.measurements}
            assert place.experiment.status not in (ExperimentStatus.FAILED, ExperimentStatus.REJECTED)
            if place.experiment.id == group.rival:
                assert place.experiment.role is Role.BASELINE and place.difference is None
    assert set(board.order) == {e.id for e in experiments}


@given(SOME)
def test_the_compact_form_leaves_nobody_out(found: list[Any]) -> None:
    experiments = [an_experiment(f"e{i}", *runs, role=r, status=s) for i, (runs, r, s) in enumerate(found)]
    board = board_of(experiments, BITS_PER_BYTE)
    assert set(board.compact.order) == set(board.order)
    for fresh in (False, True):
        shown = [p.experiment.id for g in board.compact.groups if g.terms.fresh is fresh for p in g.places]
        rivals = {g.rival for g in board.groups}
        assert len([i for i in shown if i not in rivals]) == len({i for i in shown if i not in rivals})


def test_fresh_rows_of_other_text_never_stand_above_screened_ones() -> None:
    """They look .1 better and are not."""
    screened = [a_measurement(value=2.522, steps=500)]
    fresh = [a_measurement(value=2.42 + s / 100, steps=500, seed=1000 + s, fresh=True, text=DECIDE) for s in range(5)]
    board = board_of(
        [
            an_experiment("c1-001", a_measurement(value=2.518, steps=500), *fresh),
            an_experiment("c1-gla", *screened, role=Role.BASELINE),
        ],
        BITS_PER_BYTE,
    )
    assert [(g.terms.text, len(g.places)) for g in board.groups] == [(DECIDE, 1), (SCREEN, 2)]


def test_differences_are_paired_by_seed_and_absent_without_a_common_one() -> None:
    rival = an_experiment("b", a_measurement(value=2.6, seed=0), a_measurement(value=2.8, seed=1), role=Role.BASELINE)
    close = an_experiment("one", a_measurement(value=2.5, seed=1))
    far = an_experiment("two", a_measurement(value=2.4, seed=7))
    (group,) = board_of([rival, close, far], BITS_PER_BYTE).groups
    found = {p.experiment.id: p.difference for p in group.places}
    assert found["one"] is not None and abs(found["one"].value - 0.3) < 1e-9 and found["one"].seeds == 1
    assert found["two"] is None


def test_the_rival_of_fresh_seeds_is_whom_the_verdicts_name() -> None:
    fresh = {"steps": 500, "fresh": True, "text": DECIDE}
    verdict = a_verdict(baseline="b", low=-0.1, high=0.1)
    board = board_of(
        [
            an_experiment("a", a_measurement(value=2.4, **fresh), role=Role.BASELINE),
            an_experiment("b", a_measurement(value=2.5, **fresh), role=Role.BASELINE),
            an_experiment("c", a_measurement(value=2.45, **fresh), verdict=verdict),
        ],
        BITS_PER_BYTE,
    )
    (group,) = board.groups
    assert group.rival == "b"
    assert [p.experiment.id for p in group.places if p.verdict] == ["c"]


def test_the_direction_is_the_metric_s() -> None:
    runs = [a_measurement(metric="combined_score", value=v, calibrated=False) for v in (1.0, 2.0)]
    board = board_of([an_experiment(f"e{i}", m) for i, m in enumerate(runs)], COMBINED_SCORE)
    assert [p.experiment.id for p in board.groups[0].places] == ["e1", "e0"]


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=20), st.booleans())
def test_nothing_on_the_front_is_beaten_in_both(points: list[tuple[float, float]], dear: bool) -> None:
    kept = front(points, more_is_dear=dear)
    for cost, gain in kept:
        assert not any((c < cost if dear else c > cost) and g > gain for c, g in points)
    assert bool(kept) == bool(points)


@pytest.mark.parametrize(
    "differs", [{"width": 128}, {"scale": "4x128h4-16x256"}, {"device": "cuda H200"}, {"total_steps": 2000}]
)
def test_both_headings_of_a_group_tell_it_from_every_other(differs: dict[str, Any]) -> None:
    one, other = an_experiment("e1", a_measurement()), an_experiment("e2", a_measurement(**differs))
    groups = board_of([one, other], BITS_PER_BYTE).groups
    assert len(groups) == 2
    assert len({g.heading for g in groups}) == len({g.full_heading for g in groups}) == 2
    assert all(g.rests_on and g.rests_on in g.full_heading for g in groups)
