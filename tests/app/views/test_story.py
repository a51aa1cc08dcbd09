"""The night in a page: what went on without an answer is told to whoever comes back in the morning."""

from __future__ import annotations

from pathlib import Path

from move37.agents.approval import Approvals
from move37.agents.inbox import Inbox
from move37.app.views.campaign import view_of
from move37.app.views.story import night_of
from move37.lab.archive.store import Archive
from tests.app.campaigns import a_whole_campaign


async def test_what_nobody_answered_stands_in_the_story_and_what_was_said_to_users_does_not(tmp_path: Path) -> None:
    campaign = a_whole_campaign(tmp_path)
    with Archive.open(tmp_path) as archive:
        quiet = night_of(view_of(archive, campaign), (), running=False)
        asking = Approvals(
            "code", Inbox(), lambda event: None, lambda line: archive.say(campaign.id, line), timeout=0.01
        )
        assert await asking.asked("c1-002", "code", "class Mixer: ...") == ""
        told = night_of(view_of(archive, campaign), (), running=False)
    assert quiet.unasked == ()
    assert len(told.unasked) == 1 and "code of c1-002 goes on" in told.unasked[0]
