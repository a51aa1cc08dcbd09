"""`kill -9` at any stage: `resume` goes on, no finished stage is lost or repeated, nothing of the driver survives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from move37.lab.archive.store import Archive
from move37.lab.errors import ArchiveError
from move37.lab.records import Experiment, ExperimentStatus, Role
from tests.ending import wait_for_the_end_of

PROGRAM = """\
# EVOLVE-BLOCK-START
def value():
    x = 3.0
    y = 1.0
    return x + y
# EVOLVE-BLOCK-END
"""
EVALUATOR = """\
import runpy


def run(program_path):
    return {"value": runpy.run_path(program_path)["value"]()}


def score(data):
    return {"combined_score": -abs(data["value"] - 7.0)}
"""
STAGES = ("", "hypothesis", "candidate", "gates", "score", "verdict:score", "analysis", "memory")
pytestmark = pytest.mark.slow  # two real commands each; within a process, test_campaign.py resumes after any stage
PATIENCE = 300  # seconds for what a busy machine may be slow at


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "task"
    made.mkdir()
    (made / "initial_program.py").write_text(PROGRAM)
    (made / "evaluator.py").write_text(EVALUATOR)
    return made


def move37(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "move37", "--home", str(home), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"MOVE37_WORKERS": "1"},
        start_new_session=True,
    )


def read(home: Path) -> tuple[Experiment, ...]:
    try:
        with Archive.open(home, readonly=True) as archive:
            return archive.experiments()
    except ArchiveError:
        return ()


def stages(home: Path) -> dict[tuple[str, str, int, int], str]:
    return {(e.id, s.stage, s.rung, s.seed): s.finished_at for e in read(home) for s in e.stages}


def wait_for(home: Path, stage: str, driver: subprocess.Popen[bytes]) -> None:
    """Asks again and again: SQLite tells no other process of a commit."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and driver.poll() is None:
        if not stage and read(home):  # a baseline has begun
            return
        if any(key[0] == "c1-001" and key[1] == stage for key in stages(home)):
            return
        time.sleep(0.03)


def descendants(session: int) -> dict[int, str]:
    """Id -> command line of every process of the driver that has not ended (it leads a session of its own)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                state, _, _, its_session = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:4]
                if int(its_session) == session and state != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage or "first second")
def test_kill_9_loses_and_repeats_nothing(tmp_path: Path, folder: Path, stage: str) -> None:
    home = tmp_path / "home"
    driver = move37(home, "run", "--task", f"program:{folder}", "--budget", "2", "--sandbox", "process")
    wait_for(home, stage, driver)
    assert driver.poll() is None, driver.communicate()[0].decode()
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    before = stages(home)
    for pid in descendants(driver.pid):
        wait_for_the_end_of(pid, seconds=PATIENCE)
    assert descendants(driver.pid) == {}
    again = move37(home, "resume", "--sandbox", "process")
    output, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, output.decode()
    after = stages(home)
    assert before.items() <= after.items()
    found = [e for e in read(home) if e.role is Role.CANDIDATE]
    assert [e.id for e in found] == ["c1-001", "c1-002"]
    assert all(e.status is not ExperimentStatus.RUNNING for e in read(home))
    with Archive.open(home, readonly=True) as archive:
        assert [c.status for c in archive.campaigns()] == ["finished"]


def test_a_finished_campaign_is_not_resumed_again(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    run = move37(home, "run", "--task", f"program:{folder}", "--budget", "1", "--sandbox", "process")
    output, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, output.decode()
    before = stages(home)
    again = move37(home, "resume")
    output, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0 and b"finished" in output and stages(home) == before
    listed = move37(home, "list", "--json")
    rows = json.loads(listed.communicate(timeout=PATIENCE)[0])
    assert [r["role"] for r in rows].count("candidate") == 1
