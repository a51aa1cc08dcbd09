"""The Docker backend: one warm container for one candidate, one forked child for one of its jobs.

Read in this order: `confinement` (how the candidate is confined), `settings`, `engine` (the only file that calls the
Docker SDK and translates its errors), `container` (one container and its channel), `pool`, `reap`, `backend`; aside
from them `image` and `build` (what the containers are made of) and `seccomp`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from move37.sandbox.docker.backend import DockerSandbox
    from move37.sandbox.docker.settings import DockerSettings

__all__ = ["DockerSandbox", "DockerSettings"]


def __getattr__(name: str) -> Any:
    """Lazy: `move37 --help` must not import the Docker SDK."""
    if name == "DockerSandbox":
        from move37.sandbox.docker.backend import DockerSandbox

        return DockerSandbox
    if name == "DockerSettings":
        from move37.sandbox.docker.settings import DockerSettings

        return DockerSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
