"""A campaign whose process was killed: it does not run, whoever works in its home, and its orders are void."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from move37.agents.inbox import Inbox
from move37.app.live_log import serve_controls
from move37.app.live_state import LiveState
from move37.app.reading import as_it_stands
from move37.app.settings import load
from move37.app.steering import Steering
from move37.app.watch import is_running
from move37.app.wiring import resume_campaign
from move37.lab.archive.controls import KEPT, VOID, Control, ControlKind, Controls
from move37.lab.archive.killed import LOST
from move37.lab.archive.store import Archive, Campaign
from move37.lab.records import BITS_PER_BYTE
from move37.lab.tasks.task import Schedule
from tests.app.conftest import Move37
from tests.builders import a_brief


def a_killed_one(home: Path) -> None:
    """Its row says that it runs, and no process holds the home."""
    with Archive.open(home) as archive:
        archive.begin_campaign(a_brief(budget=2))


def row_of(home: Path) -> Campaign:
    with Archive.open(home, readonly=True) as archive:
        return archive.campaign(1)


@pytest.mark.parametrize("holder", ["another campaign", "confirm", "tidy"])
def test_a_campaign_that_was_killed_does_not_run_whoever_holds_the_home(
    tmp_path: Path, move37: Move37, monkeypatch: pytest.MonkeyPatch, holder: str
) -> None:
    a_killed_one(tmp_path)
    seen: list[tuple[bool, str]] = []

    def look(*_: object, **__: object) -> bool:
        killed = row_of(tmp_path)
        seen.append((is_running(tmp_path, killed), as_it_stands(tmp_path, killed).status))
        return False

    if holder == "tidy":
        (tmp_path / "checkpoints").mkdir()
        (tmp_path / "checkpoints" / "half.new").write_bytes(b"x")
        monkeypatch.setattr("move37.app.commands.tidy.at_a_terminal", lambda: True)
        monkeypatch.setattr("typer.confirm", look)
        assert move37("--home", str(tmp_path), "tidy").status == 0
    else:
        with Archive.open(tmp_path) as other:
            if holder == "another campaign":
                assert is_running(tmp_path, other.begin_campaign(a_brief()))
            look()
    assert seen == [(False, "stopped")]


def test_an_order_that_was_taken_and_not_answered_at_a_kill_is_answered(tmp_path: Path) -> None:
    a_killed_one(tmp_path)
    with Controls(tmp_path) as controls:
        taken = controls.post(1, ControlKind.PIN, text="gla", user="ada")
        controls.take(1)
        waits = controls.post(1, ControlKind.PAUSE, user="ada")
        with Archive.open(tmp_path):
            pass
        answers = [controls.find(ident) for ident in (taken, waits)]
    assert [a and a.answer for a in answers] == [LOST, None], "what nobody took is void at the next resume"


async def test_what_is_asked_for_while_a_campaign_ends_is_answered_then(tmp_path: Path) -> None:
    a_killed_one(tmp_path)
    campaign = row_of(tmp_path)
    with Controls(tmp_path) as controls:
        with Steering(tmp_path, campaign, LiveState(BITS_PER_BYTE), Inbox(), lambda _: None):
            late = controls.post(1, ControlKind.PAUSE, user="ada")
            line = controls.post(1, ControlKind.SAY, text="try a floor", user="ada")
        answers = [controls.find(ident) for ident in (late, line)]
        assert [a and a.answer for a in answers] == [VOID, KEPT]
        assert [c.id for c in controls.take(1)] == [line], "the agents of the next session hear it"


async def test_an_order_to_a_session_that_had_ended_does_not_end_the_next_one(tmp_path: Path) -> None:
    class EnoughSeen(Exception):
        """The campaign has begun again; nothing needs to be trained for this."""

    def on_ready(campaign: Campaign, _: Schedule) -> None:
        assert campaign.status == "running"
        raise EnoughSeen

    a_killed_one(tmp_path)
    with Controls(tmp_path) as controls:
        stop = controls.post(1, ControlKind.STOP, user="ada")
        line = controls.post(1, ControlKind.SAY, text="try a floor", user="ada")
        settings = load({"home": tmp_path, "sandbox": "process", "workers": 1})
        with pytest.raises(EnoughSeen):
            await resume_campaign(settings, inbox=Inbox(), on_event=lambda _: None, on_ready=on_ready)
        assert [c.id for c in controls.take(1)] == [line]
        answered = controls.find(stop)
    assert answered is not None and answered.answer is not None and "not carried out" in answered.answer


async def test_an_order_that_fails_leaves_the_next_ones_heard(tmp_path: Path) -> None:
    def carry_out(control: Control) -> str:
        if control.text == "breaks":
            raise OverflowError("int too large")
        return "done"

    a_killed_one(tmp_path)
    serving = asyncio.create_task(serve_controls(tmp_path, 1, carry_out))
    with Controls(tmp_path) as controls:
        orders = [controls.post(1, ControlKind.PIN, text=text) for text in ("breaks", "gla")]
        async with asyncio.timeout(60):
            while not all((c := controls.find(ident)) and c.answer for ident in orders):
                await asyncio.sleep(0.05)
        answers = [str(c.answer) for ident in orders if (c := controls.find(ident))]
    serving.cancel()
    assert "OverflowError" in answers[0] and answers[1] == "done"
