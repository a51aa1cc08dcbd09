"""Where a machine forbids namespaces, one candidate still finds nothing of another, and nothing stays on the disk."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from move37.sandbox.errors import SandboxBroken
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.reap import FOLDERS, PREFIX
from move37.sandbox.process.zygote_process import ZygoteSettings
from tests.ending import is_running
from tests.sandbox.attacks.table import FOLDER_OF_PROGRAMS
from tests.sandbox.jobs import QUICK, program

LEAVERS = ("89_unreadable_leftovers", "90_colliding_names", "91_close_own_folder", "92_close_tmp")
FOLDER = FOLDER_OF_PROGRAMS.parent


def folders(launcher: int) -> list[Path]:
    return [path for place in FOLDERS for path in Path(place).glob(f"{PREFIX}{launcher}-*")]


@pytest.mark.parametrize("leaver", LEAVERS)
async def test_the_next_candidate_meets_nothing(leaver: str) -> None:
    source = (FOLDER_OF_PROGRAMS / f"{leaver}.py").read_text()
    # Without namespaces /tmp and / are the machine's, and tests may run as root: a job closes its own folder for them.
    source = source.replace('("/tmp", "/dev/shm", "/")', '(os.environ["TMPDIR"],)').replace('"/tmp", "/dev/shm", ', "")
    assert '"/"' not in source and '"/tmp"' not in source
    look = (FOLDER / "afterwards/look_for_stash.py").read_text().replace('("/tmp", "/dev/shm", *folders)', "folders")
    async with ProcessSandbox(1, settings=ZygoteSettings(namespaces=False, warm=False)) as sandbox:
        first = await sandbox.run(program(source, trust="one"))
        assert b"held: tried" in first.stdout, first
        second = await sandbox.run(program(look, trust="two", collect=("*",)))
        assert second.stdout == b"clean\n" and not second.files, second
        (zygote,) = sandbox._all
        assert folders(zygote.pid)
    assert not folders(zygote.pid)


BESIDE = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        print(os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""


@pytest.mark.parametrize("end", ["close", "kill the supervisor"])
async def test_nothing_that_a_job_started_outlives_its_sandbox(end: str) -> None:
    said: asyncio.Queue[bytes] = asyncio.Queue()
    async with ProcessSandbox(1, settings=ZygoteSettings(namespaces=False, warm=False)) as sandbox:
        limits = replace(QUICK, wall_seconds=600.0)
        job = program(BESIDE, limits=limits)
        task = asyncio.create_task(sandbox.run(job, on_output=lambda _, data: said.put_nowait(data)))
        beside = int(await asyncio.wait_for(said.get(), 60.0))
        assert is_running(beside)
        (zygote,) = sandbox._all
        if end == "kill the supervisor":
            (supervisor,) = Path(f"/proc/{zygote.pid}/task/{zygote.pid}/children").read_text().split()
            os.kill(int(supervisor), signal.SIGKILL)
    with pytest.raises(SandboxBroken):
        await task
    assert not is_running(beside)
