"""A disk that fills under a whole campaign: one sentence, nothing finished is lost, `resume` goes on with room."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from move37.lab.archive.store import Archive
from move37.lab.records import Role
from tests.agents.test_kill import EVALUATOR, PATIENCE, PROGRAM, read, stages

pytestmark = [
    pytest.mark.slow,  # two real commands each
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root"),
]
STAGES = ("gates", "analysis")  # of the first candidate: what is stored when not a byte is left any more
BUDGET = 3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system in memory of 256 MB: the memory wants 64 free."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "none", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path) -> None:
    """Not a byte is left."""
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def command(disk: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "move37", "--home", str(disk / "home"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"MOVE37_WORKERS": "1"},
    )


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """Its evaluator takes a second, so that there is time to fill the disk while it runs."""
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "initial_program.py").write_text(PROGRAM)
    slow = EVALUATOR.replace("import runpy\n", "import runpy\nimport time\n\ntime.sleep(1)\n")
    (folder / "evaluator.py").write_text(slow)
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_a_campaign_whose_disk_fills_ends_in_a_sentence_and_goes_on_when_there_is_room(
    disk: Path, task: Path, stage: str
) -> None:
    home = disk / "home"
    driver = command(disk, "run", "--task", f"program:{task}", "--budget", str(BUDGET), "--sandbox", "process")
    deadline = time.monotonic() + PATIENCE
    while driver.poll() is None and time.monotonic() < deadline:
        if any(key[:2] == ("c1-001", stage) for key in stages(home)):
            break
        time.sleep(0.1)
    assert driver.poll() is None, driver.communicate()
    before = stages(home)
    fill(disk)
    out, err = driver.communicate(timeout=PATIENCE)
    last = err.strip().splitlines()[-1]
    assert driver.returncode == 3, (driver.returncode, out, err)
    assert last.startswith("move37: ") and ("full" in last or "No space" in last), err
    assert "Traceback" not in out + err
    (disk / "filler").unlink()
    again = command(disk, "resume")
    out, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, (out, err)
    assert before.items() <= stages(home).items()  # none was lost, none was done again
    found = [e for e in read(home) if e.role is Role.CANDIDATE]
    assert [e.number for e in found] == list(range(1, BUDGET + 1)) and all(e.analysis for e in found)
    with Archive.open(home, readonly=True) as archive:
        assert archive.campaigns()[0].status == "finished"
