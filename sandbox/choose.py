"""Which backend runs a job: what a person asked for, what the machine has, and who wrote the code.

`auto` takes Docker when its daemon answers and our image is there. Otherwise code that a person named (`check`,
`exec`) or that our own grammar generated runs in the process backend, with a warning; code that a language model wrote
does so only after an explicit `process`. Nothing here builds an image.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import structlog

from move37.sandbox.errors import DaemonUnreachable, SandboxError, SandboxUnavailable
from move37.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from move37.sandbox.docker.settings import DockerSettings

log = structlog.get_logger()

Kind = Literal["auto", "docker", "process"]
Source = Literal["person", "grammar", "model"]
PROBE_SECONDS = 10.0  # a daemon that does not answer by then counts as absent


async def open_sandbox(
    kind: Kind,
    *,
    trusted_source: Source,
    workers: int = 0,
    single: bool = False,
    docker: DockerSettings | None = None,
) -> Sandbox:
    """A backend that can run here; close it when done.

    `workers`: processes of the process backend at most (0: one a core). `single`: there is one job to come, so that
    nothing is warmed for another, and torch only imported when that job does. Raises `SandboxUnavailable` or one of its
    kinds with the sentence that says what to do.
    """
    if kind == "process":
        return _process(workers, single)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await _docker_is_ready(docker)
    except (SandboxError, TimeoutError) as error:
        problem = error if isinstance(error, SandboxError) else DaemonUnreachable("the Docker daemon does not answer")
        if kind == "docker":
            raise problem from error
        if trusted_source == "model":
            raise SandboxUnavailable(
                f"Code that a language model wrote runs in Docker, and {_plain(problem)} "
                "(or accept weaker protection with --sandbox process)"
            ) from error
        log.warning("sandbox_without_docker", why=_plain(problem), using="process")
        return _process(workers, single)
    from move37.sandbox.docker.backend import DockerSandbox
    from move37.sandbox.docker.settings import DockerSettings

    settings = docker or DockerSettings()
    return DockerSandbox(replace(settings, warm=0) if single else settings)


def _process(workers: int, single: bool) -> Sandbox:
    from move37.sandbox.process.backend import ProcessSandbox, Settings

    return ProcessSandbox(1 if single else workers, settings=Settings(warm=not single))


async def _docker_is_ready(settings: DockerSettings | None) -> None:
    """Raises what is missing: the SDK, the daemon, or the image."""
    try:
        from move37.sandbox.docker.engine import Engine
        from move37.sandbox.docker.image import judge_image, recipe, tag
    except ImportError as error:
        raise DaemonUnreachable("the Docker SDK is not installed: run `pip install docker`") from error
    name = settings.image if settings and settings.image else tag("cpu")
    engine = await Engine.connect()
    try:
        judge_image(name, await engine.image(name), recipe())
    finally:
        engine.close()


def _plain(error: Exception) -> str:
    """The sentence without the full stop, to stand inside another one."""
    return str(error).rstrip(". ")
