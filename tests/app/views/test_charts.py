"""What every plot owes its reader: a band of noise, a range in which arms can be told apart, counts that are true."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.app.views.campaign import CampaignView, view_of
from move37.app.views.charts import (
    campaigns_over_compute,
    claims,
    discoveries,
    narrow,
    places,
    progress,
    standings,
    trade,
    training,
)
from move37.app.views.charts.costs import ticks
from move37.app.views.charts.family import _places
from move37.app.views.charts.shared import BAND, Chart
from move37.app.views.compare import comparable
from move37.app.views.curves import scatter, smoothed
from move37.app.views.discoveries import binomial_range
from move37.app.views.lineage import depths
from move37.lab.archive.live import Curve
from move37.lab.archive.store import Archive
from move37.lab.records import Claim, Comparison
from tests.app.campaigns import a_whole_campaign
from tests.builders import a_measurement


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> CampaignView:
    home: Path = tmp_path_factory.mktemp("charts")
    a_whole_campaign(home)
    with Archive.open(home, readonly=True) as archive:
        found = view_of(archive, archive.campaign(1))
    rng = np.random.default_rng(0)
    steps = tuple(range(10, 510, 10))
    curves = tuple(
        Curve(
            experiment=e.id, rung="lm@500", seed=0, steps=steps, losses=tuple(_losses(rng, steps)), learning_rate=0.01
        )
        for e in (*found.baselines[:3], *found.candidates[:2])
    )
    return replace(found, curves=curves)


def _losses(rng: np.random.Generator, steps: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(2.4 + 40 / step + rng.normal(0, 0.2) for step in steps)


def banded(chart: Chart) -> bool:
    shapes = chart.figure["layout"].get("shapes", ())
    return any(s["fillcolor"] == BAND for s in shapes) or any(t.get("fillcolor") == BAND for t in chart.figure["data"])


def test_every_plot_of_values_has_a_band_of_noise(view: CampaignView) -> None:
    made = [*standings(view, 9), progress(view), discoveries(view), training(view), *trade(view)]
    made += campaigns_over_compute([view, view])
    assert len(made) > 6
    for chart in made:
        assert chart is not None and banded(chart), chart
        assert "band" in chart.note.lower() or chart.title in ("Progress of the search", "Quality beside cost")


def test_training_is_shown_where_arms_differ_and_the_band_is_as_wide_as_batches_scatter(view: CampaignView) -> None:
    chart = training(view)
    assert chart is not None
    low, high = chart.figure["layout"]["yaxis"]["range"]
    assert 1.8 < low < 2.5 and high < 3.6  # the fall from 6.4 would press the rest into a line
    edges = [t["y"] for t in chart.figure["data"] if t["line"]["width"] == 0]
    half = (edges[1][20] - edges[0][20]) / 2
    assert half == pytest.approx(1.96 * 0.2 / math.sqrt(5), rel=0.4)
    assert view.baselines[0].name in chart.note or "gated_delta" in chart.note


@given(st.lists(st.floats(-1e6, 1e6), max_size=60), st.integers(2, 7))
def test_a_smoothed_curve_keeps_its_ends_and_never_leaves_its_range(losses: list[float], width: int) -> None:
    found = smoothed(losses, width)
    assert len(found) == len(losses) and scatter(losses, width) >= 0.0
    if losses:
        assert (found[0], found[-1]) == (losses[0], losses[-1])
        slack = 1e-9 * max(abs(x) for x in losses)
        assert min(losses) - slack <= min(found) and max(found) <= max(losses) + slack


@given(st.integers(0, 300))
def test_the_band_of_luck_holds_what_it_says_and_no_more(count: int) -> None:
    low, high = binomial_range(count)
    chances = [math.comb(count, k) / 2**count for k in range(count + 1)]
    assert low + high == count and math.fsum(chances[low : high + 1]) >= 0.95
    if high > low + 1:
        assert math.fsum(chances[low + 1 : high]) < 0.95


@given(st.lists(st.integers(0, 40), max_size=40))
def test_in_the_tree_no_two_marks_share_a_place_and_every_leaf_has_a_row(parents: list[int]) -> None:
    """Leaves of one ancestor stood on the row of another's, and a long line of descent ended in a RecursionError."""
    made_from = {str(n): str(parent % n) for n, parent in enumerate(parents, 1)}
    idents = [str(n) for n in range(len(parents) + 1)]
    places = _places(idents, made_from, depths(made_from, idents))
    leaves = [ident for ident in idents if ident not in made_from.values()]
    assert len(set(places.values())) == len(idents)
    assert sorted(places[ident][1] for ident in leaves) == [float(-row) for row in reversed(range(len(leaves)))]
    for child, parent in made_from.items():
        assert places[child][0] == places[parent][0] + 1


def test_a_line_of_descent_may_be_long_and_a_circle_is_cut() -> None:
    made_from = {str(n): str(n - 1) for n in range(1, 1_200)}
    idents = [str(n) for n in range(1_200)]
    assert _places(idents, made_from, depths(made_from, idents))["1199"] == (1_199.0, 0.0)
    circle = {"a": "b", "b": "a"}
    assert set(_places(["a", "b"], circle, depths(circle, ["a", "b"]))) == {"a", "b"}


def test_the_rival_whose_noise_is_the_band_is_drawn_wherever_it_stands(view: CampaignView) -> None:
    """Behind forty better ones it was left out, and the band with it."""
    better = [
        replace(e, id=f"c1-1{n:02d}", number=100 + n, measurements=(a_measurement(value=2.0 + n / 1000, steps=500),))
        for n in range(50)
        for e in view.candidates[:1]
    ]
    chart = standings(replace(view, experiments=(*view.baselines, *better)), 9)[1]
    assert banded(chart) and "gated_delta" in chart.figure["layout"]["yaxis"]["categoryarray"]


def test_every_comparison_of_a_claim_is_drawn_with_its_interval(view: CampaignView) -> None:
    asked = tuple(
        Comparison(
            question=q, rival="c1-gla", name="gla", effect=x, low=x - 0.02, high=x + 0.02, confidence=0.97, seeds=5
        )
        for q, x in (("baseline", 0.05), ("held_out", 0.01))
    )
    claim = Claim(candidate="c1-001", part="a floor", comparisons=asked, confirmation=1)
    assert claims(view) is None
    first, *others = view.candidates
    chart = claims(replace(view, experiments=(*view.baselines, replace(first, claim=claim), *others)))
    assert chart is not None
    drawn = {y: (x, t["name"]) for t in chart.figure["data"] for x, y in zip(t["x"], t["y"], strict=True)}
    assert drawn == {"baseline: gla": (0.05, "holds"), "held out: gla": (0.01, "does not hold")}
    assert all(np.allclose(t["error_x"]["array"], 0.02) for t in chart.figure["data"])


def test_cost_is_drawn_for_each_group_of_values_and_each_has_its_own_front(view: CampaignView) -> None:
    """Only the fewest steps were drawn, on which most of what the search learned was not seen yet."""
    made = trade(view)
    assert [chart.choice for chart in made] == [
        "after 100 steps, screened: 15 arms",
        "after 200 steps, screened: 10 arms",
        "after 500 steps, screened: 9 arms",
        "after 500 steps, fresh seeds, deciding text: 2 arms",
    ]
    assert places(made) == [(0, 1, 2, 3)]
    for chart in made:
        front = next(t for t in chart.figure["data"] if t["name"] == "Pareto front")
        values = [y for t in chart.figure["data"] if t["mode"] == "markers" and t["xaxis"] == "x" for y in t["y"]]
        assert front["y"] and min(front["y"]) == min(values)
        assert f": {len(values)} arms" in chart.choice  # every arm that was measured there


@given(st.lists(st.integers(1, 10**7), min_size=1))
def test_a_logarithmic_axis_has_ticks_among_its_values(values: list[int]) -> None:
    """Values within one decade had an axis without a single number."""
    found = ticks([float(v) for v in values])["tickvals"]
    assert min(found) <= min(values) and max(values) <= max(found)
    if max(values) / min(values) >= 2.5:  # the widest gap of 1, 2 and 5
        assert any(min(values) <= tick <= max(values) for tick in found)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "one", "two"])), max_size=9))
def test_charts_share_a_place_where_title_and_choice_say_so(made: list[tuple[str, str]]) -> None:
    found = places([Chart(title=t, note="", figure={}, choice=c) for t, c in made])
    assert [index for indices in found for index in indices] == list(range(len(made)))
    for indices in found:
        assert len({made[i][0] for i in indices}) == 1 and all(made[i][1] for i in indices[1:])


def test_on_a_phone_a_long_legend_leaves_its_plot_the_height_it_has(view: CampaignView) -> None:
    chart = training(view)
    assert chart is not None
    many = replace(chart, figure={"data": chart.figure["data"] * 3, "layout": chart.figure["layout"]})
    assert narrow(many).figure["layout"]["height"] > narrow(chart).figure["layout"]["height"]


def on_other_terms(view: CampaignView, **changes: object) -> CampaignView:
    """The campaign with every value taken otherwise."""
    taken = (
        replace(e, measurements=tuple(replace(m, **changes) for m in e.measurements))  # type: ignore[arg-type]
        for e in view.experiments
    )
    return replace(view, campaign=replace(view.campaign, id=2), experiments=tuple(taken))


@pytest.mark.parametrize(
    "changes", [{"scale": "4x128h4-16x256"}, {"device": "gpu"}, {"width": 256}, {"total_steps": 9}]
)
def test_campaigns_on_different_terms_share_no_axis(view: CampaignView, changes: dict[str, object]) -> None:
    charts = campaigns_over_compute([view, on_other_terms(view, **changes)])
    assert len(charts) == 2 and charts[0].title != charts[1].title
    assert [len(c.figure["data"]) for c in charts] == [1, 1]


def test_campaigns_on_different_texts_share_no_axis_and_are_not_ranked_together(view: CampaignView) -> None:
    other = on_data(view, "0123456789ab", "/texts/mine.txt")
    charts = campaigns_over_compute([view, other, on_data(view, "0123456789ab", "/texts/mine.txt")])
    assert sorted(len(c.figure["data"]) for c in charts) == [1, 2] and charts[0].title != charts[1].title
    assert "/texts/mine.txt 01234567" in charts[1].title
    assert comparable(view, view) and not comparable(view, other) and not comparable(other, view)


def on_data(view: CampaignView, digest: str, corpus: str) -> CampaignView:
    brief = replace(view.campaign.brief, corpus=corpus)
    return replace(
        view, campaign=replace(view.campaign, brief=brief, facts={**view.campaign.facts, "task_digest": digest})
    )
