"""A campaign seen and steered from another process: what it tells, what is asked of it, who is there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from move37.agents.events import (
    ApprovalClosed,
    ApprovalRequested,
    BudgetUpdated,
    Event,
    ExperimentUpdated,
    Notice,
    Spoke,
    StageFinished,
    StageStarted,
    TrainingUpdated,
)
from move37.app.live_log import LiveLog, serve_controls
from move37.app.settings import load
from move37.app.starting import start
from move37.app.watch import Watcher, is_running
from move37.lab.archive.controls import Control, ControlKind, Controls
from move37.lab.archive.live import EVERY, LiveReader, StoredNotice, notices_of
from move37.lab.archive.message import ANYBODY, UNHEARD, Message, now
from move37.lab.archive.store import Archive
from move37.lab.tasks.task import Progress
from tests.builders import a_brief, a_finished_experiment


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive.open(tmp_path)
    archive.begin_campaign(a_brief(budget=2))
    return archive


def said(archive: Archive, text: str, experiment: str | None = "c1-001") -> None:
    archive.say(1, Message(source="Critic", to="Lab", text=text, at=now(), experiment=experiment))


def wait_for_the_next_millisecond() -> None:
    """Times in the archive are told apart by it."""
    at = now()
    while now() == at:
        pass


def a_step(step: int, experiment: str = "c1-001", steps: int = 100) -> TrainingUpdated:
    return TrainingUpdated(
        progress=Progress(experiment=experiment, rung="lm@100", seed=0, step=step, steps=steps, loss=3.0 - step / 100)
    )


def test_what_comes_after_the_end_is_not_stored_and_blames_no_disk(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with LiveLog(tmp_path, 1) as live:
        live(Notice(text="in time"))
    live(Notice(text="a notice that failed"))
    assert [notice.text for notice in notices_of(LiveReader(tmp_path).state(1))] == ["in time"]
    assert "live" not in "".join(capsys.readouterr())


def test_what_happens_is_told_once_and_nothing_of_before(tmp_path: Path, archive: Archive) -> None:
    experiment = a_finished_experiment(archive, archive.campaign(1))
    said(archive, "long ago")
    with Watcher(tmp_path, 1, past=0) as watcher:
        assert watcher.poll() == [] and watcher.known == (archive.experiment(experiment.id),)
        said(archive, "now")
        said(archive, "to nobody yet", experiment=None)
        archive.finish_stage(experiment.id, "analysis:again", {}, reason="read once more")
        found = watcher.poll()
        assert [e.experiment.reason for e in found if isinstance(e, ExperimentUpdated)] == ["read once more"]
        assert [e.text for e in found if isinstance(e, Spoke)] == ["now"]
        assert [e.text for e in found if isinstance(e, Notice)] == ["Critic: to nobody yet"]
        assert watcher.poll() == []


def test_who_comes_back_hears_the_last_lines_first(tmp_path: Path, archive: Archive) -> None:
    a_finished_experiment(archive, archive.campaign(1))
    for number in range(5):
        said(archive, f"line {number}")
    with Watcher(tmp_path, 1, past=2) as watcher:
        assert [e.text for e in watcher.poll() if isinstance(e, Spoke)] == ["line 3", "line 4"]


def test_who_heard_a_users_line_is_told_when_somebody_did(tmp_path: Path, archive: Archive) -> None:
    """At a terminal one's own line was acknowledged and then seemed to have vanished."""
    line = Message(source="ada", to=ANYBODY, text="be bold", at=now(), user=True, stage=UNHEARD)
    with Watcher(tmp_path, 1) as watcher:
        archive.say(1, line)
        (notice,) = watcher.poll()
        assert isinstance(notice, Notice) and notice.text == "ada: be bold"
        said(archive, "accepted")
        archive.heard(1, replace(line, to="Critic", experiment="c1-001", stage="hypothesis"))
        heard, accepted = watcher.poll()
        assert isinstance(heard, Spoke) and (heard.source, heard.to, heard.experiment) == ("ada", "Critic", "c1-001")
        assert isinstance(accepted, Spoke) and watcher.poll() == []


def test_events_reach_another_process_through_the_archive(tmp_path: Path, archive: Archive) -> None:
    experiment = a_finished_experiment(archive, archive.campaign(1))
    budget = BudgetUpdated(done=1, budget=2, seconds=3.0, seconds_left=None, tokens=5, cost=0.5, phase="search")
    request = ApprovalRequested(experiment=experiment.id, kind="code", text="class Mixer: ...", seconds=60.0)
    with LiveLog(tmp_path, 1) as live, Watcher(tmp_path, 1, past=0) as watcher:
        live(budget)
        live(StageStarted(experiment=experiment.id, stage="lm@100"))
        live(a_step(20, experiment.id))
        live(request)
        live(Notice(text="the server is back"))
        found = watcher.poll()
        assert budget in found and StageStarted(experiment=experiment.id, stage="lm@100") in found
        assert [e.progress.step for e in found if isinstance(e, TrainingUpdated)] == [20]
        (asked,) = (e for e in found if isinstance(e, ApprovalRequested))
        assert (asked.experiment, asked.text) == (experiment.id, "class Mixer: ...")
        assert asked.seconds is not None and 0 < asked.seconds <= 60.0
        assert "the server is back" in [e.text for e in found if isinstance(e, Notice)]
        live(ApprovalClosed(experiment=experiment.id, answer="approved"))
        live(StageFinished(experiment=experiment.id, stage="memory"))
        assert [type(e) for e in watcher.poll()] == [ApprovalClosed]


def test_who_comes_back_hears_no_old_notices_and_new_ones_once(tmp_path: Path, archive: Archive) -> None:
    """All of the last twenty notices were told again, behind the conversation, to whoever sat down."""
    experiment = a_finished_experiment(archive, archive.campaign(1))
    with LiveLog(tmp_path, 1) as live:
        live(Notice(text="430 insights were put into memory."))
        for number in range(5):
            wait_for_the_next_millisecond()
            said(archive, f"line {number}")
        wait_for_the_next_millisecond()
        live(Notice(text="the server is slow"))
        with Watcher(tmp_path, 1, past=2) as back, Watcher(tmp_path, 1, past=50) as new:
            told = [[e.text for e in w.poll() if isinstance(e, Notice)] for w in (back, new)]
            assert told == [["the server is slow"], ["430 insights were put into memory.", "the server is slow"]]
            live(Notice(text="the server is back"))
            live(StageStarted(experiment=experiment.id, stage="gates"))
            assert [e.text for e in back.poll() if isinstance(e, Notice)] == ["the server is back"]
            assert [e for e in back.poll() if isinstance(e, Notice)] == []


def test_what_others_ask_for_is_told_once_with_its_answer_and_ones_own_is_not(tmp_path: Path, archive: Archive) -> None:
    a_finished_experiment(archive, archive.campaign(1))
    with LiveLog(tmp_path, 1) as live, Controls(tmp_path) as controls, Watcher(tmp_path, 1, past=0) as watcher:
        theirs, own, line, late = (
            controls.post(1, kind, text=text, user=user)
            for kind, text, user in (
                (ControlKind.BUDGET, "24", "ada"),
                (ControlKind.PIN, "gla", "bob"),
                (ControlKind.SAY, "hello", "ada"),
                (ControlKind.PAUSE, "", "ada"),
            )
        )
        watcher.own.add(own)
        assert [e for e in watcher.poll() if isinstance(e, Notice)] == []  # nothing is answered yet
        for ident in (theirs, own, line):
            controls.answer(ident, "done")
        live(Notice(text="ada: /budget 24", order=True))  # as the campaign's own terminal shows it
        assert [e.text for e in watcher.poll() if isinstance(e, Notice)] == ["ada: /budget 24 → done"]
        controls.answer(late, "paused")
        assert [e.text for e in watcher.poll() if isinstance(e, Notice)] == ["ada: /pause → paused"]


def test_notices_of_an_earlier_version_are_read() -> None:
    assert notices_of({"notices": ["old", {"at": "2026", "text": "new"}]}) == (
        StoredNotice(at="", text="old"),
        StoredNotice(at="2026", text="new"),
    )


def test_a_curve_keeps_every_tenth_step_and_its_end(tmp_path: Path, archive: Archive) -> None:
    experiment = a_finished_experiment(archive, archive.campaign(1))
    with LiveLog(tmp_path, 1) as live:
        for step in range(1, 104):
            live(a_step(step, experiment.id, steps=103))
    with LiveReader(tmp_path) as reader:
        (curve,) = reader.curves(1)
    gaps = [b - a for a, b in zip(curve.steps, curve.steps[1:], strict=False)]
    assert curve.steps[-1] == 103 and set(gaps[:-1]) == {EVERY}


def test_what_waited_when_a_campaign_died_waits_no_more_when_it_begins_again(tmp_path: Path, archive: Archive) -> None:
    live = LiveLog(tmp_path, 1)
    live(ApprovalRequested(experiment="c1-001", kind="code", text="x"))
    with LiveReader(tmp_path) as reader:
        assert len(reader.requests(1)) == 1
        live.paused(True)
        LiveLog(tmp_path, 1)
        assert reader.requests(1) == () and not reader.state(1)["paused"]


def test_of_one_experiment_a_second_request_is_told_though_nobody_looked_in_between(
    tmp_path: Path, archive: Archive
) -> None:
    with LiveLog(tmp_path, 1) as live, Watcher(tmp_path, 1, past=0) as watcher:
        live(ApprovalRequested(experiment="c1-001", kind="hypothesis", text="a floor"))
        assert [type(e) for e in watcher.poll()] == [ApprovalRequested]
        live(ApprovalClosed(experiment="c1-001", answer="ada approved it"))
        live(ApprovalRequested(experiment="c1-001", kind="promotion", text="200 steps"))
        assert [type(e) for e in watcher.poll()] == [ApprovalClosed, ApprovalRequested]
        assert watcher.poll() == []


def test_no_time_of_a_request_passes_while_the_campaign_is_paused(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page named a time at which it goes on, and that time came and went during the pause."""
    with LiveLog(tmp_path, 1) as live, LiveReader(tmp_path) as reader:
        live(ApprovalRequested(experiment="c1-001", kind="code", text="x", seconds=60.0))
        live(ApprovalRequested(experiment="c1-002", kind="code", text="x"))
        first = reader.requests(1)[0]
        live.paused(True)
        live.paused(True)
        monkeypatch.setattr("move37.lab.archive.live.datetime", _InAnHour)
        live.paused(False)
        live.paused(False)
        moved, waits = reader.requests(1)
    assert first.until is not None and moved.until is not None and waits.until is None
    later = datetime.fromisoformat(moved.until) - datetime.fromisoformat(first.until)
    assert timedelta(minutes=59) < later < timedelta(minutes=61)


class _InAnHour(datetime):
    """A clock that is an hour ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(hours=1)


def test_a_pause_and_a_long_line_are_seen_from_another_process(tmp_path: Path, archive: Archive) -> None:
    live = LiveLog(tmp_path, 1)
    with Watcher(tmp_path, 1, past=0) as watcher:
        assert not watcher.paused
        live.paused(True)
        said(archive, "paste me " * 900, experiment=None)
        (notice,) = watcher.poll()
        assert watcher.paused
    assert isinstance(notice, Notice) and len(notice.text) < 400


async def test_orders_of_others_are_carried_out_once_in_order_and_answered(tmp_path: Path, archive: Archive) -> None:
    taken: list[str] = []
    everything = asyncio.Event()

    def carry_out(control: Control) -> str:
        taken.append(f"{control.user}: {control.kind} {control.text}")
        if len(taken) == 2:
            everything.set()
        return f"done {len(taken)}"

    with Controls(tmp_path) as controls:
        idents = [
            controls.post(1, ControlKind.SAY, text="hello", user="ada"),
            controls.post(1, ControlKind.VETO, text="no", user="bob"),
        ]
        serving = asyncio.create_task(serve_controls(tmp_path, 1, carry_out))
        await asyncio.wait_for(everything.wait(), 120)
        await asyncio.sleep(0)
        serving.cancel()
        assert taken == ["ada: say hello", "bob: veto no"]
        assert [found.answer for ident in idents if (found := controls.find(ident))] == ["done 1", "done 2"]


def test_a_campaign_that_was_killed_does_not_run(tmp_path: Path, archive: Archive) -> None:
    assert is_running(tmp_path, archive.campaign(1))  # this process holds the home
    archive.close()
    assert archive_status(tmp_path) == "running" and not is_running(tmp_path, campaign_of(tmp_path))


def campaign_of(home: Path):  # type: ignore[no-untyped-def]
    with Archive.open(home, readonly=True) as archive:
        return archive.campaign(1)


def archive_status(home: Path) -> str:
    return str(campaign_of(home).status)


def watched(home: Path, until: Callable[[list[Event]], bool]) -> list[Event]:
    """Everything that is told until the condition holds or the campaign has ended."""
    found: list[Event] = []
    with Watcher(home, 1, past=1000) as watcher:
        while not until(found) and watcher.running:
            found += watcher.poll()
        return found + watcher.poll()


@pytest.mark.slow
def test_a_campaign_in_a_process_of_its_own_is_steered_from_here(tmp_path: Path) -> None:
    """What `move37 chat` does at a terminal: start, look on, veto one of two that wait, stop."""
    circles = Path(__file__).parents[2] / "lab/tasks/examples/circles"
    home = tmp_path / "home"
    flags = load({"task": f"program:{circles}", "budget": 2, "sandbox": "process", "approve": "hypotheses"}).flags
    assert start(home, "run", flags) == 1
    asked = watched(home, lambda events: sum(isinstance(e, ApprovalRequested) for e in events) == 2)
    waiting = [e.experiment for e in asked if isinstance(e, ApprovalRequested)]
    with Controls(home) as controls:
        controls.post(1, ControlKind.VETO, text="too small", experiment=waiting[1], user="ada")
        controls.post(1, ControlKind.APPROVE, experiment=waiting[0], user="ada")
    watched(home, lambda _: False)
    with Archive.open(home, readonly=True) as archive:
        assert archive.campaign(1).status == "finished"
        assert "too small" in archive.experiment(waiting[1]).reason
        assert archive.experiment(waiting[0]).measurements
        assert any(line.source == "ada" for line in archive.lines(waiting[1]))
    told = subprocess.run(
        [sys.executable, "-m", "move37", "--home", str(home), "attach"], capture_output=True, text=True
    )
    assert told.returncode == 2 and "move37 resume" in told.stderr
