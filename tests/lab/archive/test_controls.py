"""Orders are taken once and in order, whoever posts at the same moment; what happens now is there for whoever looks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from move37.lab.archive import schema
from move37.lab.archive.controls import KEPT, LONGEST, VOID, ControlKind, Controls
from move37.lab.archive.live import LiveReader, Recorder
from move37.lab.archive.store import FILE, Archive
from move37.lab.errors import ArchiveError
from tests.builders import a_baseline, a_finished_experiment, a_home


def test_orders_are_given_out_once_and_in_order_while_the_campaign_holds_the_home(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    with Controls(tmp_path) as outside, Controls(tmp_path) as inside:
        first = outside.post(campaign.id, ControlKind.SAY, text="try a longer decay", user="ada")
        second = outside.post(campaign.id, ControlKind.VETO, experiment="c1-001", text="seen before")
        taken = inside.take(campaign.id)
        assert [(c.id, c.user, c.kind) for c in taken] == [(first, "ada", "say"), (second, "person", "veto")]
        assert inside.take(campaign.id) == ()
        inside.answer(second, "c1-001 is vetoed")
        inside.answer(second, "something else")
        seen = outside.find(second)
        assert seen is not None and seen.answer == "c1-001 is vetoed" and seen.taken_at
    archive.close()


def test_of_many_posts_at_once_none_is_lost_or_taken_twice(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    with Controls(tmp_path) as controls, ThreadPoolExecutor(8) as pool:
        posted = list(pool.map(lambda n: controls.post(campaign.id, ControlKind.SAY, text=str(n)), range(40)))
        taken = [c for batch in pool.map(lambda _: controls.take(campaign.id), range(8)) for c in batch]
    assert sorted(c.id for c in taken) == sorted(posted)
    archive.close()


def test_another_process_may_post(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    code = (
        "from pathlib import Path; from move37.lab.archive.controls import *;"
        f"Controls(Path({str(tmp_path)!r})).post({campaign.id}, ControlKind.PAUSE)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with Controls(tmp_path) as controls:
        assert [c.kind for c in controls.take(campaign.id)] == [ControlKind.PAUSE]
    archive.close()


def test_orders_that_nobody_took_may_be_called_void_and_lines_for_the_agents_are_kept(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    lines = {ControlKind.SAY, ControlKind.ASK, ControlKind.PROPOSE}
    with Controls(tmp_path) as controls:
        taken = controls.post(campaign.id, ControlKind.STOP)
        controls.take(campaign.id)
        posted = {kind: controls.post(campaign.id, kind, text="Critic hello") for kind in ControlKind}
        assert {c.kind for c in controls.void(campaign.id)} == set(ControlKind) - lines
        assert controls.void(campaign.id) == ()
        assert {c.kind for c in controls.take(campaign.id)} == lines
        found = {kind: controls.find(ident) for kind, ident in posted.items()}
        answers = {kind: control.answer for kind, control in found.items() if control}
        assert answers == {kind: KEPT if kind in lines else VOID for kind in ControlKind}
        known = controls.find(taken)
        assert known is not None and known.answer is None
    archive.close()


def test_orders_of_another_campaign_stay_where_they_are(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    other = archive.begin_campaign(campaign.brief)
    with Controls(tmp_path) as controls:
        controls.post(campaign.id, ControlKind.STOP)
        assert controls.take(other.id) == ()
        assert len(controls.take(campaign.id)) == 1
    archive.close()


def test_too_long_a_text_is_refused_and_a_missing_home_is_named(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path / "home")
    with Controls(tmp_path / "home") as controls, pytest.raises(ValueError, match="too many"):
        controls.post(campaign.id, ControlKind.SAY, text="x" * (LONGEST + 1))
    archive.close()
    with pytest.raises(ArchiveError, match="no campaign"):
        Controls(tmp_path / "nowhere")


def _an_old_home(path: Path) -> None:
    """An archive as the first version of the schema made it."""
    path.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path / FILE, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    schema.STEPS[0](db)
    db.execute("PRAGMA user_version = 1")
    db.execute("INSERT INTO campaigns (id, brief, status, started_at) VALUES (1, '{}', 'finished', '2026-01-01')")
    db.execute(
        "INSERT INTO experiments (id, campaign, number, role, status, created_at)"
        " VALUES ('c1-001', 1, 1, 'candidate', 'measured', '2026-01-01')"
    )
    db.close()


def test_an_older_archive_reads_as_empty_and_is_brought_up_to_date_by_the_first_post(tmp_path: Path) -> None:
    _an_old_home(tmp_path)
    with LiveReader(tmp_path) as live:
        assert live.curves(1) == () and live.state(1) == {} and live.requests(1) == ()
    with Controls(tmp_path) as controls:
        assert controls.of(1) == ()
        controls.post(1, ControlKind.SAY, text="hello")
        assert [c.text for c in controls.of(1)] == ["hello"]
    with Archive.open(tmp_path, readonly=True) as archive:
        assert archive.experiment("c1-001").status == "measured"


def test_two_processes_that_upgrade_at_once_both_succeed(tmp_path: Path) -> None:
    for number in range(5):
        home = tmp_path / str(number)
        _an_old_home(home)
        with ThreadPoolExecutor(4) as pool:
            opened = [Controls(home) for _ in range(4)]
            assert len(list(pool.map(lambda c: c.post(1, ControlKind.PAUSE), opened))) == 4
        for controls in opened:
            controls.close()
        db = sqlite3.connect(home / FILE)
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(schema.STEPS)
        db.close()


def test_curves_are_kept_run_by_run_in_order_of_steps(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    a_baseline(archive, campaign)
    candidate = a_finished_experiment(archive, campaign)
    with Recorder(tmp_path, campaign.id) as recorder:
        for step in (20, 10, 30):
            recorder.point(candidate.id, "lm@100", 0, step, 5.0 - step / 10, rate=0.01)
        recorder.point(candidate.id, "lm@100", 0, 10, 4.5, rate=0.003)
        recorder.point("c1-gated_delta", "lm@100", 0, 10, 4.0, rate=0.01, fresh=True)
        recorder.point(candidate.id, "lm@100", 0, 30, 1.5, rate=0.01)  # repeated after a kill
    with LiveReader(tmp_path) as live:
        own, slow, fast = live.curves(campaign.id)
    assert own.experiment == "c1-gated_delta" and own.fresh
    assert slow.learning_rate == 0.003 and slow.losses == (4.5,)
    assert fast.steps == (10, 20, 30) and fast.losses == (4.0, 3.0, 1.5)
    archive.close()


def test_a_question_waits_until_it_is_answered(tmp_path: Path) -> None:
    archive, campaign = a_home(tmp_path)
    with Recorder(tmp_path, campaign.id) as recorder, LiveReader(tmp_path) as live:
        recorder.state(phase="search", done=1)
        recorder.state(paused=True)
        recorder.ask("c1-001", "code", "class Mixer: ...")
        recorder.ask("c1-002", "code", "class Mixer: pass")
        recorder.close_request("c1-001", "approved by ada")
        assert [r.experiment for r in live.requests(campaign.id)] == ["c1-002"]
        state = live.state(campaign.id)
        assert state["phase"] == "search" and state["paused"] is True and state["at"]
        recorder.close_requests("the campaign ended")
        assert live.requests(campaign.id) == ()
    archive.close()
