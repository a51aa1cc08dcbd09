"""One session: it greets, shows, ends with the leaderboard, the report and what to type next; a signal stops it softly.

The campaign itself is tested in tests/agents; here a short one stands in its place behind `move37.app.wiring`.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from move37.app import session, steering, wiring
from move37.app.ending import conclude, next_commands
from move37.app.orders import Order, carry_out
from move37.app.settings import load
from move37.lab.archive.controls import ControlKind, Controls
from move37.lab.archive.message import Message, now
from move37.lab.archive.store import Archive
from tests.app.campaigns import SHORTENED, a_whole_campaign
from tests.app.test_display import everything
from tests.builders import a_brief, a_finished_experiment


async def a_short_campaign(settings: Any, *, inbox: Any, on_event: Any, on_ready: Any) -> None:
    with Archive.open(settings.home) as archive:
        campaign = archive.begin_campaign(a_brief(budget=1))
        on_ready(campaign, None)
        for event in everything():
            on_event(event)
        a_finished_experiment(archive, campaign)
        archive.update_campaign(campaign.id, status="finished")


async def a_patient_campaign(settings: Any, *, inbox: Any, on_event: Any, on_ready: Any) -> None:
    with Archive.open(settings.home) as archive:
        campaign = archive.begin_campaign(a_brief(budget=1))
        on_ready(campaign, None)
        os.kill(os.getpid(), signal.SIGINT)
        while not inbox.stopped:
            await inbox.changed(timeout=60.0)
        archive.update_campaign(campaign.id, status="stopped")


async def a_deaf_campaign(settings: Any, *, inbox: Any, on_event: Any, on_ready: Any) -> None:
    with Archive.open(settings.home) as archive:
        campaign = archive.begin_campaign(a_brief(budget=1))
        on_ready(campaign, None)
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            archive.update_campaign(campaign.id, status="stopped")


def test_a_session_ends_with_the_report_and_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wiring, "run_campaign", a_short_campaign)
    assert session.conduct(load({"home": tmp_path / "home"})) == 0
    out = capsys.readouterr().out
    assert "a search without a language model" in out.splitlines()[0]
    assert "c1-001 Researcher to Critic" in out
    assert "move37 show c1-001" in out
    assert (tmp_path / "home" / "reports" / "campaign-1.html").is_file()
    assert (tmp_path / "home" / "logs" / "move37.jsonl").is_file()


def test_one_signal_stops_softly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wiring, "run_campaign", a_patient_campaign)
    assert session.conduct(load({"home": tmp_path / "home"})) == 130
    assert "move37 resume" in capsys.readouterr().out


def test_what_does_not_stop_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "run_campaign", a_deaf_campaign)
    monkeypatch.setattr(session, "GRACE", 0.0)
    monkeypatch.setattr(session, "_end", lambda: None)  # it would end the tests
    assert session.conduct(load({"home": tmp_path / "home"}), interactive=False) == 130
    with Archive.open(tmp_path / "home", readonly=True) as archive:
        assert archive.campaigns()[0].status == "stopped"


def test_the_end_names_the_shortcuts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    campaign = a_whole_campaign(tmp_path)
    conclude(tmp_path, campaign.id)
    out = capsys.readouterr().out
    assert all(sentence in out for sentence in SHORTENED)
    assert str(tmp_path / "reports" / "campaign-1.html") in out


def test_orders_of_a_pipe_and_of_other_processes_are_carried_out_by_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From two threads an approval typed on the pipe and one of the page could both count for the same request."""
    reading_end, writing_end = os.pipe()
    monkeypatch.setattr(sys, "stdin", type("Pipe", (), {"fileno": lambda self: reading_end})())
    threads: dict[str, str] = {}

    def noted(order: Order, *args: Any, **more: Any) -> str:
        threads[order.verb] = threading.current_thread().name
        return carry_out(order, *args, **more)

    async def a_steered_campaign(settings: Any, *, inbox: Any, on_event: Any, on_ready: Any) -> None:
        with Archive.open(settings.home) as archive:
            campaign = archive.begin_campaign(a_brief(budget=1))
            on_ready(campaign, None)
            os.write(writing_end, b"/pause\n")
            with Controls(settings.home) as controls:
                controls.post(campaign.id, ControlKind.UNDO)
            async with asyncio.timeout(60):
                while len(threads) < 2:
                    await asyncio.sleep(0.02)
            archive.update_campaign(campaign.id, status="stopped")

    monkeypatch.setattr(steering, "carry_out", noted)
    monkeypatch.setattr(wiring, "run_campaign", a_steered_campaign)
    assert session.conduct(load({"home": tmp_path / "home"}), interactive=True) == 0
    os.close(writing_end)
    assert threads == {"pause": threading.main_thread().name, "undo": threading.main_thread().name}


@pytest.mark.parametrize(("interactive", "past"), [(True, 200), (True, 3), (False, 200)])
def test_who_resumes_through_a_pipe_is_told_the_conversation_so_far(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    interactive: bool,
    past: int,
) -> None:
    """At a terminal the last lines were told, on a pipe none."""
    campaign = a_whole_campaign(tmp_path / "home", finished=False)
    with Archive.open(tmp_path / "home") as archive:
        archive.say(1, Message(source="Critic", to="Lab", text="the very last word", at=now(), experiment="c1-003"))
        lines = [line for line in archive.lines(campaign=1) if line.experiment]

    async def a_resumed_campaign(settings: Any, *, campaign: int, inbox: Any, on_event: Any, on_ready: Any) -> None:
        with Archive.open(settings.home) as archive:
            on_ready(archive.campaign(campaign), None)
            archive.update_campaign(campaign, status="finished")

    monkeypatch.setattr(session, "PAST", past)
    monkeypatch.setattr(wiring, "resume_campaign", a_resumed_campaign)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert session.conduct(load({"home": tmp_path / "home"}), again=campaign, interactive=interactive) == 0
    out = capsys.readouterr().out
    shown = [line for line in out.splitlines() if re.match(r"c1-\S+ \w+ to ", line)]
    assert len(shown) == (min(past, len(lines)) if interactive else 0) and len(lines) > 3
    assert interactive is ("Critic to Lab: the very last word" in out)
    assert ("the last 3 of" in out) is (past == 3)


def test_an_unfinished_campaign_is_to_be_resumed(tmp_path: Path) -> None:
    campaign = a_whole_campaign(tmp_path, finished=False)
    with Archive.open(tmp_path, readonly=True) as archive:
        assert next_commands(campaign, archive.experiments()) == [("next", "move37 resume")]
