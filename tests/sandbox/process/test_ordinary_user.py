"""An ordinary user's sandbox, without control groups: what is counted, and users of their own where there are some."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from move37.sandbox.job import MIB, Status
from move37.sandbox.process import subordinate
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from tests.sandbox.attacks.backends import ORDINARY
from tests.sandbox.jobs import QUICK, program

pytestmark = pytest.mark.asyncio(loop_scope="module")
OTHERS = "with others below"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["alone", OTHERS])
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[ProcessSandbox]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    if request.param == OTHERS and not all(map(shutil.which, subordinate.TOOLS)):
        pytest.skip("the package uidmap is not installed")
    prefix = (*ORDINARY, "--subordinate") if request.param == OTHERS else ORDINARY
    async with ProcessSandbox(1, settings=ZygoteSettings(prefix=prefix, warm=False)) as opened:
        lines = {line.name: line for line in await opened.protections()}
        if not lines["process namespace"].active:
            pytest.skip(lines["process namespace"].detail)
        yield opened


UNWATCHED = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
reader, writer = os.pipe()
for _ in range(2):
    if os.fork() == 0:
        while time.process_time() < 1.0: pass
        os.write(writer, b".")
        os._exit(0)
os.read(reader, 1), os.read(reader, 1)
"""


async def test_a_child_whose_end_nobody_waits_for_is_counted(sandbox: ProcessSandbox) -> None:
    outcome = await sandbox.run(program(UNWATCHED, limits=replace(QUICK, wall_seconds=120.0)))
    assert outcome.status is Status.DONE and 1.5 <= outcome.cpu_seconds < 4.0, outcome


CLOSED_PAGE = """
import ctypes, os, time
if {closed}: ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # nobody may read its smaps now
reader, writer = os.pipe()
for _ in range(3):
    if os.fork() == 0:
        held = b"x" * ({each} << 20)
        os.write(writer, b".")
        time.sleep(100)
        os._exit(0)
for _ in range(3): os.read(reader, 1)
time.sleep({seconds})
"""


@pytest.mark.parametrize(("each", "seconds", "status"), [(60, 100, Status.OUT_OF_MEMORY), (10, 0.5, Status.DONE)])
@pytest.mark.parametrize("closed", [False, True])
async def test_memory_counts_whether_or_not_a_process_shows_it(
    sandbox: ProcessSandbox, each: int, seconds: float, closed: bool, status: Status
) -> None:
    source = CLOSED_PAGE.format(each=each, seconds=seconds, closed=closed)
    limits = replace(QUICK, memory_bytes=128 * MIB, wall_seconds=120.0)
    assert (await sandbox.run(program(source, limits=limits))).status is status


USER = """
import os, pathlib
for place in (os.environ["HOME"], os.environ["TMPDIR"]):
    pathlib.Path(place, "inner").mkdir()
    os.chmod(place, 0)
result = pathlib.Path(os.environ["MOVE37_OUT"], "result")
result.write_text("seen")
os.chmod(result, 0o600)
print(os.getuid(), os.getgid(), len(os.getgroups()))
"""


async def test_each_job_is_a_user_of_its_own_where_there_are_some(sandbox: ProcessSandbox) -> None:
    """What a job closed comes back and is removed all the same."""
    outcomes = [await sandbox.run(program(USER, collect=("result",))) for _ in range(3)]
    assert [outcome.files for outcome in outcomes] == [{"result": b"seen"}] * 3, outcomes
    users = {outcome.stdout for outcome in outcomes}
    line = next(line for line in await sandbox.protections() if line.name == "a user of its own")
    if line.active:
        assert len(users) == 3 and not users & {b"0 0 0\n", b"65534 65534 0\n"}
    else:
        assert users == {b"65534 65534 0\n"} and "subuid" in line.detail


async def test_others_are_used_where_the_system_has_them(
    sandbox: ProcessSandbox, request: pytest.FixtureRequest
) -> None:
    lines = {line.name: line for line in await sandbox.protections()}
    assert lines["a user of its own"].active == (OTHERS in request.node.name)
    assert lines["no capabilities"].active and lines["system call filter"].active
