"""What a report counts: the order of time, true ancestry, gates, curves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.app.reading import pick_campaign, reading
from move37.app.views.campaign import CampaignView, view_of
from move37.app.views.charts import training
from move37.app.views.curves import band, lines, screened
from move37.app.views.experiment import detail_of
from move37.app.views.lineage import ancestor_of, ancestry, children, depths
from move37.app.views.search import gate_counts, outcomes, trials
from move37.lab.archive.live import Curve, Recorder
from move37.lab.archive.store import Archive
from move37.lab.records import ExperimentStatus, Role
from tests.app.campaigns import SOURCE
from tests.builders import a_brief, a_candidate, a_finished_experiment, a_home, a_hypothesis, a_measurement


@pytest.fixture(scope="module")
def view(finished: Path) -> CampaignView:
    with reading(finished) as archive:
        return view_of(archive, pick_campaign(archive))


def test_best_so_far_never_gets_worse_and_time_never_goes_back(view: CampaignView) -> None:
    found = trials(view)
    best = [t.best for t in found if t.best is not None]
    assert best == sorted(best, reverse=True)
    assert [t.compute for t in found] == sorted(t.compute for t in found)


def test_a_candidate_stands_when_it_was_first_screened(tmp_path: Path) -> None:
    """Its later rungs once moved its first point from 7 s to 330 s."""
    with Archive.open(tmp_path) as archive:
        campaign = archive.begin_campaign(a_brief())
        idents = [archive.begin_experiment(campaign.id, n, Role.CANDIDATE).id for n in (1, 2)]
        for stage, ident, seconds, steps in (
            ("lm@100", idents[1], 7.0, 100),
            ("lm@100", idents[0], 5.0, 100),
            ("lm@500", idents[1], 300.0, 500),
        ):
            m = a_measurement(train_seconds=seconds, steps=steps)
            archive.finish_stage(ident, stage, {"measurements": [m]}, rung=2, status=ExperimentStatus.MEASURED)
            stored = time.time_ns() // 10**6
            while time.time_ns() // 10**6 == stored:  # stages are told apart by the millisecond
                pass
        found = trials(view_of(archive, campaign))
    assert [(t.experiment.number, t.compute) for t in found] == [(2, 7.0), (1, 12.0)]


def test_gates_are_counted_by_what_became_of_them(view: CampaignView) -> None:
    counts = {c.gate: (c.ended, c.repaired) for c in gate_counts(view.candidates)}
    assert counts == {"causality": (2, 0), "purity": (1, 0), "dtype": (0, 2)}
    assert outcomes(view.candidates) == {"failed": 4, "rejected": 1, "measured": 4, "promoted": 3}


def test_the_ancestor_is_the_base_that_the_hypothesis_names(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    for number in (1, 2):
        a_finished_experiment(archive, campaign, number)
    ident = archive.begin_experiment(campaign.id, 3, Role.CANDIDATE, parents=("c1-001", "c1-002")).id
    archive.finish_stage(ident, "hypothesis", {"hypothesis": a_hypothesis(base="c1-002")})
    known = {e.id: e for e in archive.experiments()}
    found = ancestor_of(known[ident], known)
    assert found is not None and found.id == "c1-002"
    archive.close()


def test_without_a_base_the_ancestor_is_the_offered_parent_with_the_nearest_code(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    sources = {1: "import torch\nx = 1\n" * 20, 2: SOURCE, 3: SOURCE.replace("8.0", "3.0")}
    for number, source in sources.items():
        parents = ("c1-001", "c1-002") if number == 3 else ()
        ident = archive.begin_experiment(campaign.id, number, Role.CANDIDATE, parents=parents).id
        archive.finish_stage(ident, "candidate", {"candidate": a_candidate(source=source)})
    experiments = archive.experiments()
    assert ancestry(experiments) == {"c1-003": "c1-002"}
    view = view_of(archive, campaign)
    assert "made from c1-002" in detail_of(view, experiments[2]).facts
    assert "also offered: c1-001" in detail_of(view, experiments[2]).facts
    archive.close()


@given(st.dictionaries(st.integers(0, 12).map(str), st.integers(0, 12).map(str)))
def test_depths_end_whatever_the_archive_says(ancestors: dict[str, str]) -> None:
    idents = sorted({*ancestors, *ancestors.values()})
    depth = depths(ancestors, idents)
    assert set(depth) == set(idents) and all(0 <= d <= len(idents) for d in depth.values())
    assert sum(len(kids) for kids in children(ancestors).values()) == len(ancestors)


def test_children_stand_one_below_their_ancestor(view: CampaignView) -> None:
    made_from = ancestry(view.experiments)
    depth = depths(made_from, [e.id for e in view.experiments])
    assert made_from and all(depth[child] == depth[parent] + 1 for child, parent in made_from.items())


def test_the_rungs_of_one_run_are_one_line() -> None:
    run = {"experiment": "c1-001", "seed": 0, "learning_rate": 0.01}
    curves = (
        Curve(rung="lm@100", steps=(10, 100), losses=(5.0, 4.0), **run),  # type: ignore[arg-type]
        Curve(rung="lm@200", steps=(100, 110, 200), losses=(4.0, 3.9, 3.0), **run),  # type: ignore[arg-type]
        Curve(rung="lm@500", steps=(10,), losses=(6.0,), **(run | {"seed": 1000, "fresh": True})),  # type: ignore[arg-type]
    )
    found = lines(curves)
    assert [line.steps for line in found] == [(10, 100, 110, 200), (10,)]
    assert [line.experiment for line in screened(curves)] == ["c1-001"]
    assert band(found) == {10: (5.0, 6.0)}


def test_curves_of_any_experiments_are_laid_over_each_other(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    for number in (1, 2):
        ident = a_finished_experiment(archive, campaign, number).id
        with Recorder(tmp_path, campaign.id) as recorder:
            for step in range(10, 110, 10):
                recorder.point(ident, "lm@100", 0, step, 5.0 - step / 50)
    view = view_of(archive, campaign)
    both, one = training(view), training(view, {"c1-002"})
    assert both is not None and len([t for t in both.figure["data"] if t["line"]["width"]]) == 2
    assert one is not None and [t["x"][-1] for t in one.figure["data"] if t["line"]["width"]] == [100]
    assert training(view, {"nobody"}) is None
    archive.close()
