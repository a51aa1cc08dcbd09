"""Tests marked `docker` need the daemon and our image: without them they fail in CI, and are skipped elsewhere."""

from __future__ import annotations

import os
from functools import cache

import pytest
import pytest_asyncio

from move37.sandbox.docker.backend import DockerSandbox
from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.image import judge_image, recipe, tag
from move37.sandbox.docker.settings import DockerSettings
from move37.sandbox.docker.translation import translated
from move37.sandbox.errors import SandboxError


@cache
def missing() -> str | None:
    """What keeps the tests from running here."""
    try:
        engine = Engine.connect_now()
    except SandboxError as error:
        return str(error)
    try:
        with translated():
            judge_image(tag("cpu"), engine.image_now(tag("cpu")), recipe())
    except SandboxError as error:
        return str(error)
    finally:
        engine.close()
    return None


@pytest.fixture(autouse=True)
def needs_docker(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("docker") is None or missing() is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI has to run this: {missing()}")
    pytest.skip(str(missing()))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox():
    """One sandbox for a module's tests; what they run they name by different candidates."""
    made = DockerSandbox(DockerSettings(warm=1))
    yield made
    await made.close()
