"""Containers that are warm before anybody needs them.

`size` decides how many (pure); `Pool.claim` gives a container away for good: it serves one candidate and is removed,
never returned. For each one given away another is started in the background, two at a time: a third in parallel gains
nothing on two cores, and starting is what costs.

Not covered: whose container it is (`backend` keeps one candidate to one container), and what is left after a crash
(`reap`).
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

import structlog

from move37.sandbox.docker.confinement import ZYGOTE_BYTES, Shape
from move37.sandbox.docker.container import WorkerContainer
from move37.sandbox.docker.engine import Engine
from move37.sandbox.errors import ImageUnusable, SandboxBroken, SandboxUnavailable
from move37.sandbox.job import Limits

log = structlog.get_logger()

STARTS_AT_ONCE = 2
MOST_IDLE = 8
CLOSED = "This sandbox was closed; open another one."
SHARE_OF_MEMORY = 0.1  # what idle containers together may take of the machine


def size(cpus: int, memory_bytes: int) -> int:
    """Idle containers for this machine: two a core, at most `MOST_IDLE`, within a tenth of its memory; at least one."""
    fitting = int(memory_bytes * SHARE_OF_MEMORY) // ZYGOTE_BYTES
    return max(1, min(2 * cpus, MOST_IDLE, fitting))


def size_here() -> int:
    """`size` of this machine."""
    return size(os.cpu_count() or 1, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


class Pool:
    """Warm containers by shape. Use from one event loop."""

    def __init__(self, engine: Engine, *, owner: str, start_seconds: float) -> None:
        self._engine = engine
        self._owner = owner
        self._start_seconds = start_seconds
        self._wanted: dict[Shape, int] = {}
        self._idle: dict[Shape, deque[WorkerContainer]] = {}
        self._waiting: dict[Shape, deque[asyncio.Future[WorkerContainer]]] = {}
        self._starting: dict[asyncio.Task[None], Shape] = {}
        self._turn = asyncio.Semaphore(STARTS_AT_ONCE)
        self._late: set[asyncio.Task[None]] = set()  # removals of containers that were offered after the end
        self._closed = False
        self._came_up: set[str] = set()  # images of which a worker once did: one that does not lacks something else

    def keep(self, shape: Shape, count: int) -> None:
        """From now on hold `count` idle containers of `shape` ready."""
        self._wanted[shape] = count
        self._top_up(shape, Limits())

    def idle(self, shape: Shape) -> int:
        """How many are ready now."""
        return sum(container.alive for container in self._idle.get(shape, ()))

    async def claim(self, shape: Shape, limits: Limits) -> WorkerContainer:
        """A container of `shape`, warm if there is one. Raises what `WorkerContainer.start` raises."""
        waiting = self._idle.setdefault(shape, deque())
        while waiting:
            container = waiting.popleft()
            if container.alive:
                self._top_up(shape, limits)
                return container
            await container.remove()
        if self._closed:
            raise SandboxUnavailable(CLOSED)
        promise: asyncio.Future[WorkerContainer] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(shape, deque()).append(promise)
        self._top_up(shape, limits)
        try:
            return await promise
        except asyncio.CancelledError:
            # It may have been fulfilled in the same instant: then the container is ours to pass on.
            if promise.done() and not promise.cancelled() and promise.exception() is None:
                self._offer(promise.result())
            raise

    def _top_up(self, shape: Shape, limits: Limits) -> None:
        if self._closed:
            return
        # Whoever hears of a start that failed may claim again before its task is taken off the list.
        starting = sum(one == shape and not task.done() for task, one in self._starting.items())
        under_way = starting + len(self._idle.get(shape, ()))
        hoped_for = sum(not promise.done() for promise in self._waiting.get(shape, ()))
        for _ in range(self._wanted.get(shape, 0) + hoped_for - under_way):
            task = asyncio.create_task(self._start(shape, limits))
            self._starting[task] = shape
            task.add_done_callback(lambda ended: self._starting.pop(ended, None))

    async def _start(self, shape: Shape, limits: Limits) -> None:
        try:
            async with self._turn:
                container = await WorkerContainer.start(
                    self._engine, shape, limits, owner=self._owner, seconds=self._start_seconds
                )
        except Exception as problem:
            error = problem
            if isinstance(problem, ImageUnusable) and shape.image in self._came_up:
                error = SandboxBroken(str(problem))
            # A waiting claim gets the error; without one the next claim tries again.
            if (promise := self._next_waiting(shape)) is not None:
                promise.set_exception(error)
            else:
                log.warning("container_not_started", error=str(error))
            return
        self._came_up.add(shape.image)
        log.debug("container_ready", container=container.name)
        self._offer(container)

    def _offer(self, container: WorkerContainer) -> None:
        if self._closed:
            task = asyncio.create_task(container.remove())
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return
        if (promise := self._next_waiting(container.shape)) is not None:
            promise.set_result(container)
        else:
            self._idle.setdefault(container.shape, deque()).append(container)

    def _next_waiting(self, shape: Shape) -> asyncio.Future[WorkerContainer] | None:
        promises = self._waiting.get(shape, deque())
        while promises:
            promise = promises.popleft()
            if not promise.done():
                return promise
        return None

    async def settled(self, enough: Callable[[], bool] | None = None) -> None:
        """Wait until nothing is being started."""
        while self._starting and not (enough is not None and enough()):
            await asyncio.wait(set(self._starting), return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Remove every idle container, and those that are just starting. Idempotent."""
        self._closed = True
        starting = list(self._starting)
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        for promises in self._waiting.values():
            for promise in promises:
                if not promise.done():
                    promise.set_exception(SandboxUnavailable(CLOSED))
        await asyncio.sleep(0)  # whose claim was answered in this moment gives its container back
        containers = [container for idle in self._idle.values() for container in idle]
        self._idle.clear()
        await asyncio.gather(*self._late)
        await asyncio.gather(*(container.remove() for container in containers))
