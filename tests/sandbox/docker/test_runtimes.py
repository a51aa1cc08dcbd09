"""The same backend under the runtimes that a person may choose, where the daemon knows them (in CI it has to)."""

from __future__ import annotations

import os
from typing import Any, Literal

import pytest

from move37.sandbox.docker.backend import DockerSandbox
from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.settings import DockerSettings
from move37.sandbox.errors import SandboxUnavailable
from move37.sandbox.job import MIB, Job, Limits, Status

pytestmark = [pytest.mark.docker, pytest.mark.slow]

CODE = b"""
import os, torch
print(torch.ones(2).sum().item(), os.getuid())
open(os.environ["MOVE37_OUT"] + "/x", "w").write("x")
"""


def a_job(**limits: Any) -> Job:
    known: dict[str, Any] = {"wall_seconds": 120.0}
    return Job(
        id="1",
        trust="t",
        argv=("python", "main.py"),
        files={"main.py": CODE},
        collect=("x",),
        limits=Limits(**(known | limits)),
    )


@pytest.mark.parametrize("runtime", ["crun", "runsc"])
async def test_a_job_runs_with_limits_of_its_own(runtime: Literal["crun", "runsc"]):
    engine = await Engine.connect()
    known = (await engine.info())["Runtimes"]
    engine.close()
    if runtime not in known:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"the daemon does not know {runtime}")
    sandbox = DockerSandbox(DockerSettings(runtime=runtime, warm=0))
    try:
        for memory in (2048, 1024):
            outcome = await sandbox.run(a_job(memory_bytes=memory * MIB))
            assert outcome.status is Status.DONE, outcome
            assert outcome.stdout == b"2.0 65534\n" and outcome.files == {"x": b"x"}
            assert outcome.backend == ("docker+runsc" if runtime == "runsc" else "docker")
        lines = {line.name: line.active for line in await sandbox.protections()}
        assert lines["gVisor"] is (runtime == "runsc") and lines["seccomp"] is (runtime != "runsc")
    finally:
        await sandbox.close()


async def test_a_runtime_that_the_daemon_does_not_know_says_what_to_do():
    sandbox = DockerSandbox(DockerSettings(runtime="kata", warm=0))  # type: ignore[arg-type]
    try:
        with pytest.raises(SandboxUnavailable, match="runtime"):
            await sandbox.run(a_job())
    finally:
        await sandbox.close()


async def test_a_gpu_that_docker_cannot_hand_out_says_that_the_toolkit_is_missing(tmp_path):
    """A fake listing, a real daemon: here it has no NVIDIA toolkit, which is the point."""
    from move37.sandbox.errors import GpuUnavailable
    from move37.sandbox.gpu_leases import Leases
    from move37.sandbox.gpus import Gpu

    engine = await Engine.connect()
    toolkit = "nvidia" in (await engine.info())["Runtimes"]
    engine.close()
    if toolkit:
        pytest.skip("this machine has the toolkit")
    leases = Leases(folder=tmp_path, devices=lambda: (Gpu(uuid="GPU-0", name="Fake", memory_bytes=1),))
    sandbox = DockerSandbox(DockerSettings(image="move37-sandbox:cpu", warm=0), leases=leases)
    try:
        with pytest.raises(GpuUnavailable, match="toolkit"):
            await sandbox.run(a_job(gpus=1))
        assert leases.held() == ()
        with pytest.raises(GpuUnavailable, match="ask for fewer"):
            await sandbox.run(a_job(gpus=2))
    finally:
        await sandbox.close()
