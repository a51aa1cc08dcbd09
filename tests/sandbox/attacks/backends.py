"""The sandboxes that are attacked: whichever of them this machine can have."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from move37.sandbox.process import subordinate
from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from move37.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from move37.sandbox.docker.engine import Engine

ORDINARY = (sys.executable, str(Path(__file__).parents[1] / "ordinary.py"))
WITH_OTHERS = "process as a user with others"  # below it, one for each job
NAMES = ("process as root", "process as a user", WITH_OTHERS, "docker", "docker with gVisor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    name: str
    sandbox: Sandbox
    count: Callable[[], Awaitable[int]]  # processes that are more than it needs itself


async def missing(name: str) -> str:
    """Why this machine cannot have that backend; empty when it can."""
    if sys.platform != "linux":
        return "only on Linux"
    if name == "process as root" and os.geteuid() != 0:
        return "not root"
    if name == WITH_OTHERS and (os.geteuid() != 0 or not all(map(shutil.which, subordinate.TOOLS))):
        return "not root, who could grant them" if os.geteuid() else "the package uidmap is not installed"
    if name.startswith("docker"):
        return await _docker_is_missing(name)
    target = await open_target(name)
    try:
        lines = {line.name: line for line in await target.sandbox.protections()}
    finally:
        await target.sandbox.close()
    # Without a process namespace some attacks would reach the machine that this is tested on.
    return "" if lines["process namespace"].active else lines["process namespace"].detail


async def _docker_is_missing(name: str) -> str:
    from move37.sandbox.docker.engine import Engine
    from move37.sandbox.docker.image import judge_image, recipe, tag
    from move37.sandbox.errors import SandboxError

    if name == "docker with gVisor" and shutil.which("runsc") is None:
        return "runsc is not installed"
    try:
        engine = await Engine.connect()
        try:
            judge_image(tag("cpu"), await engine.image(tag("cpu")), recipe())
            known = (await engine.info()).get("Runtimes", {})
        finally:
            engine.close()
    except SandboxError as error:
        return str(error)
    return "" if name == "docker" or "runsc" in known else "the daemon does not know runsc"


async def open_target(name: str) -> Target:
    """Close its sandbox when done."""
    if name.startswith("process"):
        process = ProcessSandbox(1, settings=ZygoteSettings(prefix=prefix_of(name)))
        return Target(name=name, sandbox=process, count=lambda: _below(process))
    from move37.sandbox.docker.backend import DockerSandbox
    from move37.sandbox.docker.settings import DockerSettings

    docker = DockerSandbox(DockerSettings(runtime="runsc" if "gVisor" in name else "", warm=1, held=2))
    return Target(name=name, sandbox=docker, count=_in_containers)


def prefix_of(name: str) -> tuple[str, ...]:
    """What the launcher of a process backend is started with."""
    if name == WITH_OTHERS:
        return (*ORDINARY, "--subordinate")
    return ORDINARY if name == "process as a user" and os.geteuid() == 0 else ()


async def _below(sandbox: ProcessSandbox) -> int:
    """All descendants of its launchers, which stand in namespaces of their own but not out of our sight."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        parents.setdefault(parent, []).append(int(path.name))
    waiting = [zygote.pid for zygote in sandbox._all]
    own = 4 * len(waiting)  # supervisor, zygote, and init and seat of the next job
    found = 0
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += len(below)
        waiting += below
    return max(0, found - own)


async def _in_containers() -> int:
    """In all containers of ours: all but the zygote and the child that waits for the next job."""
    from move37.sandbox.docker.confinement import OWNER_LABEL
    from move37.sandbox.docker.engine import Engine
    from move37.sandbox.process_identity import current

    engine = await Engine.connect()
    try:
        return await asyncio.to_thread(_surplus, engine, f"{OWNER_LABEL}={current()}")
    finally:
        engine.close()


def _surplus(engine: Engine, label: str) -> int:
    found = 0
    for container in engine.containers_now((label,)):
        with contextlib.suppress(Exception):  # it may be going at this moment
            found += max(0, len(engine.api.top(container["Id"])["Processes"]) - 2)
    return found
