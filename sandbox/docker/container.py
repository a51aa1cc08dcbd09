"""One container with a warm worker in it, and the channel to that worker.

`WorkerContainer.start` makes one that is ready for a job, `run` gives it a job, `remove` ends it. The worker inside
keeps the job's time and limits; the clock here is the one that counts when the worker does not: it kills the container.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

import structlog

from move37.sandbox.channel import (
    Frame,
    Frames,
    Greeting,
    JobExchange,
    encode_job,
    read_greeting,
)
from move37.sandbox.deadlines import JobClock, translated_end
from move37.sandbox.docker.attach_stream import STDOUT, AttachStream
from move37.sandbox.docker.confinement import NAME_PREFIX, Shape, create_body, resources
from move37.sandbox.docker.engine import Engine
from move37.sandbox.errors import DaemonUnreachable, ImageUnusable, SandboxBroken, SandboxError
from move37.sandbox.job import Job, Limits, OnOutput, Outcome, Status

log = structlog.get_logger()

READ_BYTES = 256 * 1024
COMPLAINT_BYTES = 4096
REMEDY = "run `move37 sandbox build`, or make your own image FROM move37-sandbox:cpu"

Read = Callable[
    [Callable[[], Awaitable[bytes]]], Awaitable[bytes]
]  # how to wait for a reading: with or without a limit


class ContainerNotDelivered(Exception):
    """The job never reached the worker: another container may run it without running it twice."""


@dataclass(eq=False)
class WorkerContainer:
    """A running container. One job at a time: the caller holds whatever lock that needs."""

    name: str
    shape: Shape
    backend: str
    engine: Engine
    resources: dict[str, object]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    greeting: Greeting | None = None
    jobs: int = 0
    _stream: AttachStream = field(default_factory=AttachStream)
    _frames: Frames = field(default_factory=Frames)
    _complaints: bytearray = field(default_factory=bytearray)
    _removed: bool = False

    @property
    def alive(self) -> bool:
        """False once the container is known to have ended."""
        return not (self._removed or self.reader.at_eof())

    @classmethod
    async def start(
        cls, engine: Engine, shape: Shape, limits: Limits, *, owner: str, seconds: float
    ) -> WorkerContainer:
        """A container whose worker has said that it is ready.

        Raises `ImageUnusable` when the worker does not come up, and what `Engine` raises.
        """
        name = NAME_PREFIX + uuid4().hex[:16]
        container = None
        creating = asyncio.ensure_future(engine.create(name, create_body(shape, limits, owner=owner)))
        try:
            # A call to the daemon cannot be taken back: when we are cancelled it is awaited, and the container removed.
            await asyncio.shield(creating)
            # Attached before it starts, so that the first byte cannot be missed.
            attached = await engine.attach(name)
            attached.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=attached, limit=READ_BYTES)
            backend = "docker+runsc" if shape.runtime == "runsc" else "docker"
            container = cls(name, shape, backend, engine, resources(limits), reader, writer)
            await engine.start(name)
            await container._greet(seconds)
        except BaseException:
            if container is not None:
                container._hang_up()
            await asyncio.shield(_undo(engine, name, creating))
            raise
        return container

    async def _greet(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                kind, payload = (await self._receive(lambda read: read()))[0]
        except TimeoutError as error:
            raise SandboxBroken(
                f"a container was not ready within {seconds:.0f} s: try again when less runs here"
            ) from error
        except (EOFError, SandboxBroken) as error:
            raise ImageUnusable(
                f"the worker in {self.shape.image} did not start ({self._complaint()}): {REMEDY}"
            ) from error
        if kind != b"R":
            raise ImageUnusable(f"the worker in {self.shape.image} is not ours: {REMEDY}")
        self.greeting = read_greeting(payload)
        if self.greeting.torch is None:
            raise ImageUnusable(f"the image {self.shape.image} has no torch: {REMEDY}")

    async def allow(self, limits: Limits) -> None:
        """Give the container the limits of the next job."""
        wanted = resources(limits)
        if wanted != self.resources:
            await self.engine.update(self.name, wanted)
            self.resources = dict(wanted)

    async def run(self, job: Job, on_output: OnOutput | None) -> Outcome:
        """One job to its end. Raises `ContainerNotDelivered` while that is certain, otherwise `SandboxError`.

        Whatever leaves here as an exception leaves no process of the job behind: the container is removed.
        """
        exchange = JobExchange(job, on_output=on_output, backend=self.backend, image=self.shape.image)
        clock = JobClock(job, exchange)
        began = time.time()
        self.jobs += 1
        try:
            async with asyncio.timeout(clock.left()):
                await self._deliver(job)
            return await self._listen(exchange, clock)
        except TimeoutError as error:
            await self.remove()
            return clock.give_up(time.time() - began, error)
        except EOFError as error:
            if await self._ran_out_of_memory(job, began):
                return exchange.cut_short(Status.OUT_OF_MEMORY, time.time() - began)
            if not exchange.started:
                raise ContainerNotDelivered from error
            raise SandboxBroken(
                f"the container of job {job.id} ended under it ({self._complaint()}); it may have run in part: "
                "run it again if that does no harm"
            ) from error
        except BaseException:  # cancelled, or the worker spoke nonsense
            await asyncio.shield(self.remove())
            raise

    async def _deliver(self, job: Job) -> None:
        frames = list(encode_job(job))
        if not self.alive:
            raise ContainerNotDelivered
        try:
            for frame in frames[:-1]:
                self.writer.write(frame)
                await self.writer.drain()
        except ConnectionError as error:
            raise ContainerNotDelivered from error
        # The worker starts nothing before the last frame is complete.
        with translated_end():
            self.writer.write(frames[-1])
            await self.writer.drain()

    async def _listen(self, exchange: JobExchange, clock: JobClock) -> Outcome:
        while True:
            outcome = exchange.feed(await self._receive(clock.read))
            if outcome is not None:
                return outcome

    async def _receive(self, read: Read) -> list[Frame]:
        """At least one frame. Raises `EOFError` when the container has ended, and what `read` raises."""
        while True:
            with translated_end():
                data = await read(lambda: self.reader.read(READ_BYTES))
            if not data:
                raise EOFError
            frames: list[Frame] = []
            for stream, piece in self._stream.feed(data):
                if stream == STDOUT:
                    frames += self._frames.feed(piece)
                else:
                    self._complaints += piece
                    del self._complaints[:-COMPLAINT_BYTES]
            if frames:
                return frames

    async def _ran_out_of_memory(self, job: Job, began: float) -> bool:
        """The container ended under the job: its memory limit is the job's doing, anything else is ours."""
        try:
            return "oom" in await self.engine.events(self.name, began)
        except SandboxError as silence:
            raise DaemonUnreachable(
                f"Docker stopped answering while job {job.id} ran, and it may have run in part: start the daemon, then "
                "run the job again if that does no harm"
            ) from silence
        finally:
            await self.remove()

    def _complaint(self) -> str:
        lines = self._complaints.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else "no output"

    def _hang_up(self) -> None:
        """Close the stream before the container is removed: the daemon waits for readers of its output."""
        with suppress(OSError):
            self.writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self.writer.close()

    async def remove(self) -> None:
        """Kill and remove. Idempotent; with a daemon that is gone the worker ends by itself: its channel closes."""
        if self._removed:
            return
        self._removed = True
        self._hang_up()
        try:
            await self.engine.remove(self.name)
        except SandboxError as error:
            log.warning("container_not_removed", container=self.name, error=str(error))


async def _undo(engine: Engine, name: str, creating: asyncio.Future[None]) -> None:
    """Remove what was, or is just being, created."""
    with suppress(SandboxError):
        await creating
    await engine.remove(name)
