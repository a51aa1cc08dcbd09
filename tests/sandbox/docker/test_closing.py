"""Closing a sandbox that is just being opened, and what else ends while it waits: with an engine that waits on demand.

A real daemon cannot be made to stand still at one call; what a container does is not of interest here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from move37.sandbox.docker.backend import DockerSandbox
from move37.sandbox.docker.confinement import Shape
from move37.sandbox.docker.container import WorkerContainer
from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.pool import Pool
from move37.sandbox.docker.settings import DockerSettings
from move37.sandbox.errors import ImageUnusable, SandboxBroken, SandboxError, SandboxUnavailable
from move37.sandbox.job import Job, Limits

SETTINGS = DockerSettings(image="theirs", warm=1)
JOB = Job(id="j", trust="t", argv=("python", "main.py"))
MOMENTS = ("connect", "containers", "image", "start")


class Halting:
    """An engine, and the containers that were started through it; it stands still at one call."""

    def __init__(self, moment: str) -> None:
        self.moment = moment
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        self.open = 0
        self.running: set[object] = set()
        self.error: SandboxError | None = None

    async def _at(self, moment: str) -> None:
        if moment == self.moment:
            self.reached.set()
            await self.go.wait()
            if self.error is not None:
                raise self.error

    async def connect(self) -> Halting:
        self.open += 1
        await self._at("connect")
        return self

    async def containers(self, _: tuple[str, ...]) -> tuple[Mapping[str, Any], ...]:
        await self._at("containers")
        return ()

    async def image(self, _: str) -> Mapping[str, Any]:
        await self._at("image")
        return {"Id": "sha256:1"}

    def close(self) -> None:
        assert not self.running, "a container outlives its engine"
        self.open -= 1

    async def start(self, *_: object, **__: object) -> Container:
        container = Container(self)
        try:
            await self._at("start")
        except BaseException:
            self.running.discard(container)
            raise
        return container


class Container:
    name, alive, shape = "c", True, Shape(image="sha256:1")

    def __init__(self, engine: Halting) -> None:
        self._engine = engine
        engine.running.add(self)

    async def remove(self) -> None:
        await asyncio.sleep(0)
        self.alive = False
        self._engine.running.discard(self)


@pytest.fixture(params=MOMENTS)
async def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Halting:
    made = Halting(request.param)
    monkeypatch.setattr(Engine, "connect", made.connect)
    monkeypatch.setattr(WorkerContainer, "start", made.start)
    return made


async def test_what_is_being_opened_is_closed_too(engine: Halting) -> None:
    sandbox = DockerSandbox(SETTINGS)
    job = asyncio.create_task(sandbox.run(JOB))
    await engine.reached.wait()
    closing = [asyncio.create_task(sandbox.close()) for _ in range(2)]
    await asyncio.sleep(0.01)
    engine.go.set()
    await asyncio.gather(*closing)
    with pytest.raises(SandboxUnavailable, match="closed"):
        await asyncio.wait_for(job, 10.0)
    assert engine.open == 0 and not engine.running and sandbox._engine is None and sandbox._pool is None


async def test_an_engine_that_fails_while_it_is_opened_is_let_go(engine: Halting) -> None:
    engine.error = SandboxBroken("a fault of the daemon's")
    engine.go.set()
    sandbox = DockerSandbox(SETTINGS)
    with pytest.raises(SandboxBroken):
        await sandbox.run(JOB)
    await sandbox.close()
    assert engine.open == (1 if engine.moment == "connect" else 0) and not engine.running


async def test_a_claim_after_the_end_is_refused_and_does_not_wait_for_ever() -> None:
    closed = Pool(Any, owner="o", start_seconds=1.0)  # type: ignore[arg-type]
    await closed.close()
    with pytest.raises(SandboxUnavailable, match="closed"):
        await asyncio.wait_for(closed.claim(Shape(image="i"), Limits()), 1.0)


async def test_an_image_of_which_a_worker_came_up_is_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Halting("")
    answers: list[Any] = [ImageUnusable("no output"), Container(engine), ImageUnusable("no output")]

    async def start(*_: object, **__: object) -> Container:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    monkeypatch.setattr(WorkerContainer, "start", start)
    ours = Pool(Any, owner="o", start_seconds=1.0)  # type: ignore[arg-type]
    for expected in (ImageUnusable, None, SandboxBroken):
        claim = ours.claim(Container.shape, Limits())
        if expected is None:
            await (await claim).remove()
        else:
            with pytest.raises(expected):
                await claim
