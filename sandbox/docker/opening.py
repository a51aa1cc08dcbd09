"""Opens the Docker backend, once it is known that the SDK, the daemon and the image are there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from move37.sandbox.docker.settings import DockerSettings
from move37.sandbox.errors import DaemonUnreachable
from move37.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from move37.sandbox.factory import Wanted

PROBE_SECONDS = 10.0  # a daemon that does not answer by then counts as absent


async def open_backend(wanted: Wanted) -> Sandbox:
    """Raises `DaemonUnreachable` or `ImageMissing`."""
    settings = wanted.docker or DockerSettings()
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await _probe(settings)
    except TimeoutError as error:
        raise DaemonUnreachable("the Docker daemon does not answer") from error
    # The SDK takes 0.2 s to import: only where a container is to be had.
    from move37.sandbox.docker.backend import DockerSandbox

    if wanted.single:
        return DockerSandbox(replace(settings, warm=0))
    sandbox = DockerSandbox(settings)
    try:
        await sandbox.begin_warming()
    except BaseException:
        await sandbox.close()
        raise
    return sandbox


async def _probe(settings: DockerSettings) -> None:
    try:
        from move37.sandbox.docker.engine import Engine
        from move37.sandbox.docker.image import judge_image, recipe, tag
    except ImportError as error:
        raise DaemonUnreachable("the Docker SDK is not installed: run `pip install docker`") from error
    name = settings.image or tag("cpu")
    engine = await Engine.connect()
    try:
        judge_image(name, await engine.image(name), recipe())
    finally:
        engine.close()
