"""Two candidates at once: neither takes what the other needs, and neither hears of the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from move37.sandbox.job import Job, Limits, Status
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from move37.sandbox.sandbox import Sandbox
from tests.sandbox.attacks.backends import WITH_OTHERS, missing, prefix_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.attack]
FOLDER = Path(__file__).parent / "beside"
NAMES = ("process as root", WITH_OTHERS, pytest.param("docker", marks=pytest.mark.docker))
LIMITS = Limits(wall_seconds=60.0, memory_bytes=512 << 20, pids=64)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=NAMES)
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    if why := await missing(request.param):
        pytest.skip(why)
    opened: Sandbox
    if request.param == "docker":
        from move37.sandbox.docker.backend import DockerSandbox
        from move37.sandbox.docker.settings import DockerSettings

        opened = DockerSandbox(DockerSettings(warm=0))
    else:
        opened = ProcessSandbox(2, settings=ZygoteSettings(prefix=prefix_of(request.param), warm=False))
    yield opened
    await opened.close()


def job(trust: str, program: str) -> Job:
    files = {"main.py": (FOLDER / f"{program}.py").read_bytes()}
    return Job(id=f"{trust}-{program}", trust=trust, argv=("python", "main.py"), files=files, limits=LIMITS)


@pytest.mark.parametrize("pair", ["starve", "lock", "watch", "signal"])
async def test_the_other_notices_nothing(sandbox: Sandbox, pair: str, request: pytest.FixtureRequest) -> None:
    """The first holds what it can until it is ended; the second runs when the first has said that it does."""
    if pair == "lock" and request.node.callspec.params["sandbox"] == WITH_OTHERS:
        pytest.xfail("an ordinary user's device files are the machine's, and no filter tells their locks from SQLite's")
    holds = asyncio.Event()

    def on_output(_: object, data: bytes) -> None:
        if b"holding" in data:
            holds.set()

    first = asyncio.create_task(sandbox.run(job("first", f"{pair}_first"), on_output=on_output))
    try:
        waiting = asyncio.create_task(holds.wait())
        await asyncio.wait({first, waiting}, return_when=asyncio.FIRST_COMPLETED)
        assert holds.is_set(), first.result()
        second = await sandbox.run(job("second", f"{pair}_second"))
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert second.status is Status.DONE and second.stdout.strip() == b"clean", second
