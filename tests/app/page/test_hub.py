"""Twenty viewers read the archive as often as one, and what failed once is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from move37.app.page import hub as hubs
from move37.app.page.hub import Hub
from move37.app.views.campaign import CampaignView
from move37.app.views.conversation import in_order
from move37.lab.archive.message import Message, now
from move37.lab.archive.store import Archive
from move37.lab.errors import ArchiveError
from tests.app.campaigns import a_whole_campaign


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    a_whole_campaign(tmp_path)
    opened = Hub(tmp_path)
    yield opened
    opened.close()


async def test_viewers_at_one_moment_cost_one_look_and_one_drawing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look = hub._view

    def counted(campaign: int) -> CampaignView:
        looks.append(campaign)
        return look(campaign)

    monkeypatch.setattr(hub, "_view", counted)
    drawn: list[int] = []

    def draw(view: CampaignView) -> object:
        drawn.append(view.campaign.id)
        return object()

    first, *others = await asyncio.gather(*(hub.rendered("board", 1, draw) for _ in range(20)))
    assert len(looks) == 1 and len(drawn) == 1 and all(other is first for other in others)


async def test_what_is_new_is_drawn_and_what_is_not_is_the_same_object(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "FRESH", 0.0)
    before = await hub.rendered("said", 1, in_order)
    assert await hub.rendered("said", 1, in_order) is before and [line.at for line in before] == sorted(
        line.at for line in before
    )
    with Archive.open(tmp_path) as archive:
        archive.say(1, Message(source="Critic", to="Lab", text="new", at=now(), experiment="c1-003"))
    after = await hub.rendered("said", 1, in_order)
    assert after[:-1] == before and after[-1].text == "new"


async def test_a_look_that_failed_is_not_kept(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = True

    def make(view: CampaignView) -> str:
        if failing:
            raise ArchiveError("the disk is away")
        return "drawn"

    for _ in range(2):
        with pytest.raises(ArchiveError):
            await hub.rendered("board", 1, make)
    failing = False
    assert await hub.rendered("board", 1, make) == "drawn"
    with pytest.raises(ArchiveError):
        await hub.view(9)
    assert (await hub.view(1)).campaign.id == 1


async def test_a_viewer_who_leaves_in_the_middle_takes_nothing_from_the_others(hub: Hub) -> None:
    leaves, stays = asyncio.create_task(hub.view(1)), asyncio.create_task(hub.view(1))
    await asyncio.sleep(0)
    leaves.cancel()
    assert (await stays).campaign.id == 1
    assert leaves.cancelled()
