"""What a page shows of this moment: what was told and asked for, who is at work, and what waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from move37.app.page.hub import LiveFeed
from move37.app.page.standing import standing
from move37.app.views.campaign import CampaignView, view_of
from move37.app.views.compare import comparison_of, first_choice, oldest_first
from move37.app.views.lineage import ancestry, descendants
from move37.app.views.now import at_work, deadline, told
from move37.lab.archive.controls import Control, ControlKind
from move37.lab.archive.live import StoredRequest
from move37.lab.archive.store import Archive
from move37.lab.records import Role
from tests.app.campaigns import a_whole_campaign

REQUEST = StoredRequest(experiment="c1-002", kind="code", text="x", at="2026")


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> CampaignView:
    home: Path = tmp_path_factory.mktemp("now")
    a_whole_campaign(home)
    with Archive.open(home, readonly=True) as archive:
        return view_of(archive, archive.campaign(1))


def test_what_was_told_and_asked_stands_in_the_order_of_time_and_once() -> None:
    order = Control(
        id=1, campaign=1, at="2026-02", user="ada", kind=ControlKind.BUDGET, experiment=None, text="24", answer="24 now"
    )
    notices = [{"at": f"2026-0{n}", "text": text} for n, text in ((1, "slow"), (3, "no probes"), (4, "no probes"))]
    assert told({"notices": notices}, [order]) == ["no probes", "ada: /budget  24 → 24 now", "slow"]


@pytest.mark.parametrize(
    ("paused", "requests", "word"), [(False, 1, "waits"), (True, 1, "paused"), (False, 0, "running")]
)
def test_a_campaign_that_waits_for_a_word_does_not_say_that_it_runs(
    view: CampaignView, paused: bool, requests: int, word: str
) -> None:
    """It once said "running, 4 min left" while nothing happened and the clock stood still."""
    active = {"c1-001": {"stage": "gates"}, "c1-002": {"stage": "candidate", "speaking": "Lab"}}
    state = {"done": 3, "phase": "search", "seconds_left": 276.0, "paused": paused, "active": active}
    live = LiveFeed(
        campaign=view.campaign, running=True, state=state, requests=(REQUEST,) * requests, controls=(), curve_points=0
    )
    said, detail, part = standing(live)
    assert said == word and part == 3 / 12
    assert ("1 for your word" in detail) == bool(requests)
    waiting = {r.experiment for r in live.requests}
    assert [a.id for a in at_work(view, state, (), waiting)] == ["c1-001"] + ["c1-002"] * (not requests)


@pytest.mark.parametrize(
    ("until", "paused", "says"),
    [
        (None, False, ""),
        ("2026-01-01T00:09:05+00:00", False, "Without an answer it goes on in 10 min 00 s."),
        ("2026-01-01T00:09:05+00:00", True, "The campaign is paused: this waits."),
        ("2025-12-31T23:59:59+00:00", False, "It goes on."),
    ],
)
def test_a_request_says_in_minutes_when_it_goes_on_by_itself(until: str | None, paused: bool, says: str) -> None:
    request = StoredRequest(experiment="c1-002", kind="code", text="x", at="2026", until=until)
    assert deadline(request, datetime(2026, 1, 1, tzinfo=UTC), paused=paused) == says


def test_the_tree_as_a_list_holds_everybody_who_descends_from_somebody_once(view: CampaignView) -> None:
    made_from = ancestry(view.experiments)
    found = descendants(view.experiments)
    idents = [d.experiment.id for d in found]
    assert len(set(idents)) == len(idents) and set(idents) == made_from.keys() | set(made_from.values())
    for place, d in enumerate(found):
        if d.depth:
            above = next(o for o in reversed(found[:place]) if o.depth < d.depth)
            assert above.experiment.id == made_from[d.experiment.id] and above.depth == d.depth - 1
        else:
            assert d.experiment.role is Role.BASELINE


def test_what_is_compared_stands_beside_the_oldest_with_its_gain(view: CampaignView) -> None:
    chosen = oldest_first([view.candidates[2], view.candidates[0], view.baselines[1]])
    assert [e.id for e in chosen] == ["c1-gla", "c1-001", "c1-003"]
    section = comparison_of(chosen, view.metric)[0]
    assert section.table is not None
    for row in section.table.rows:
        both = [cell.text for cell in row[2:] if cell.text[:1].isdigit()]
        if row[1].text[:1].isdigit() and "fresh" not in row[0].text:
            assert "gain" not in row[1].text and all("gain" in text for text in both)
    assert any("gain" in cell.text for row in section.table.rows for cell in row)


def test_what_is_compared_is_told_with_what_it_costs(view: CampaignView) -> None:
    found = [view.find("c1-gla"), view.find("c1-001")]
    table = next(s.table for s in comparison_of([e for e in found if e], view.metric) if s.title == "What it costs")
    assert table is not None
    told = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert told["parameters of the mixer"] == ["12,700", "11,400"]
    assert "–" not in told["tokens a CPU second"]


def test_unless_somebody_chooses_the_best_candidate_is_compared_with_what_it_was_made_from(view: CampaignView) -> None:
    ancestor, best = first_choice(view)
    assert best == "c1-001" and ancestry(view.experiments)[best] == ancestor
    assert first_choice(replace(view, experiments=view.baselines)) == ["c1-gated_delta"]
    assert first_choice(replace(view, experiments=())) == []
