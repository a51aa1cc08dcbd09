"""Which backend runs a job: what the user asked for, what the machine has, and who wrote the code.

`auto` takes Docker when its daemon answers and the image is there, and nothing else where an image or a runtime of
Docker was asked for. Otherwise code that the user named (`check`, `exec`) or that our own grammar generated runs in the
process backend, with a warning; code that a language model wrote does so only after an explicit `process`. Nothing here
builds an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

import structlog

from move37.sandbox.backends import BACKENDS
from move37.sandbox.errors import SandboxUnavailable
from move37.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from move37.sandbox.docker.settings import DockerSettings

log = structlog.get_logger()

Kind = str  # "auto", or a key of `BACKENDS`
Source = Literal["person", "grammar", "model"]
AUTO = "auto"
PREFERRED, FALLBACK = "docker", "process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a backend is opened with; each takes what concerns it."""

    trusted_source: Source
    workers: int = 0  # processes of the process backend at most; 0: one a core
    single: bool = False  # there is one job to come: nothing is warmed for another
    docker: DockerSettings | None = None


async def open_sandbox(
    kind: Kind,
    *,
    trusted_source: Source,
    workers: int = 0,
    single: bool = False,
    docker: DockerSettings | None = None,
) -> Sandbox:
    """A backend that can run here; close it when done.

    `workers` and `single` as in `Wanted`. Raises `ValueError` for a kind that does not exist, and `SandboxUnavailable`
    or one of its kinds with the sentence that says what to do.
    """
    wanted = Wanted(trusted_source=trusted_source, workers=workers, single=single, docker=docker)
    if kind != AUTO:
        return await open_backend(kind, wanted)
    try:
        return await open_backend(PREFERRED, wanted)
    except SandboxUnavailable as problem:
        why = str(problem).rstrip(". ")
        if trusted_source == "model":
            raise SandboxUnavailable(
                f"Code that a language model wrote runs in Docker, and {why} "
                "(or accept weaker protection with --sandbox process)"
            ) from problem
        if docker is not None and (docker.image or docker.runtime):
            raise SandboxUnavailable(f"{why} (an image or a runtime was asked for, which only Docker has)") from problem
        log.warning("sandbox_without_docker", why=why, using=FALLBACK)
        return await open_backend(FALLBACK, wanted)


async def open_backend(kind: str, wanted: Wanted) -> Sandbox:
    """The backend of that name, and no other."""
    if kind not in BACKENDS:
        raise ValueError(f"there is no sandbox called {kind!r}: choose from {', '.join((AUTO, *BACKENDS))}")
    opened: Sandbox = await import_module(BACKENDS[kind]).open_backend(wanted)
    return opened
