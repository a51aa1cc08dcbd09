"""Settings -> what the Docker backend takes. Here and not in `app/wiring.py`, so that `exec` starts without the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.app.settings import SandboxSettings

if TYPE_CHECKING:
    from move37.sandbox.docker.settings import DockerSettings


def docker_settings(wanted: SandboxSettings) -> DockerSettings:
    """The image and the runtime that the user named, else the backend's own choice."""
    from move37.sandbox.docker.settings import DockerSettings

    return DockerSettings(image=wanted.image or "", runtime=wanted.runtime or "")
