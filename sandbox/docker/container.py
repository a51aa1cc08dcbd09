"""One container with a warm worker in it, and the channel to that worker.

`WorkerContainer.start` makes one that is ready for a job, `run` gives it a job, `remove` ends it. The worker inside
keeps the job's time and limits; the clock here is the one that counts when the worker does not: it kills the container.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from uuid import uuid4

import structlog

from move37.sandbox.channel import (
    OUT_OF_MEMORY,
    TIMED_OUT,
    Frame,
    Frames,
    Greeting,
    JobExchange,
    encode_job,
    read_greeting,
)
from move37.sandbox.docker.attach_stream import STDOUT, AttachStream
from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.isolation import NAME_PREFIX, Shape, create_body, resources
from move37.sandbox.errors import DaemonUnreachable, ImageUnusable, SandboxBroken, SandboxError
from move37.sandbox.job import MIB, Job, Limits, OnOutput, Outcome, Status, Stream

log = structlog.get_logger()

GRACE_SECONDS = 2.0  # for the worker to end the job itself, with the output that it has
READ_BYTES = 256 * 1024
COMPLAINT_BYTES = 4096


class OutputBuffer:
    """Keeps what a job has written so far, and passes it on."""

    def __init__(self, on_output: OnOutput | None) -> None:
        self.stdout, self.stderr = bytearray(), bytearray()
        self._pass_on = on_output

    def __call__(self, stream: Stream, data: bytes) -> None:
        (self.stdout if stream == "stdout" else self.stderr).extend(data)
        if self._pass_on is not None:
            self._pass_on(stream, data)


class NotDelivered(Exception):
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
        await engine.create(name, create_body(shape, limits, owner=owner))
        container = None
        try:
            # Attached before it starts, so that the first byte cannot be missed.
            socket = await engine.attach(name)
            socket.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=socket, limit=READ_BYTES)
            backend = "docker+runsc" if shape.runtime == "runsc" else "docker"
            container = cls(name, shape, backend, engine, resources(limits), reader, writer)
            await engine.start(name)
            await container._greet(seconds)
        except BaseException:
            if container is not None:
                container.writer.close()
            await asyncio.shield(engine.remove(name))
            raise
        return container

    async def _greet(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                kind, payload = (await self._receive())[0]
        except TimeoutError as error:
            raise SandboxBroken(
                f"a container was not ready within {seconds:.0f} s: try again when less runs here"
            ) from error
        except (EOFError, SandboxBroken) as error:
            raise ImageUnusable(
                f"the worker in {self.shape.image} did not start ({self._complaint()}): run `move37 sandbox build`"
            ) from error
        if kind != b"R":
            raise ImageUnusable(f"the worker in {self.shape.image} is not ours: run `move37 sandbox build`")
        self.greeting = read_greeting(payload)
        if self.greeting.torch is None:
            raise ImageUnusable(f"the image {self.shape.image} has no torch: run `move37 sandbox build`")

    async def allow(self, limits: Limits) -> None:
        """Give the container the limits of the next job."""
        wanted = resources(limits)
        if wanted != self.resources:
            await self.engine.update(self.name, wanted)
            self.resources = dict(wanted)

    async def run(self, job: Job, on_output: OnOutput | None) -> Outcome:
        """One job to its end. Raises `NotDelivered` while that is certain, otherwise `SandboxError`.

        Whatever leaves here as an exception leaves no process of the job behind: the container is removed.
        """
        output = OutputBuffer(on_output)
        exchange = JobExchange(job, on_output=output, backend=self.backend, image=self.shape.image)
        began = time.time()
        self.jobs += 1
        try:
            await self._deliver(job)
            async with asyncio.timeout(job.limits.wall_seconds + GRACE_SECONDS):
                return await self._listen(exchange)
        except TimeoutError:
            await self.remove()
            return self._killed(job, output, began, Status.TIMED_OUT)
        except (EOFError, ConnectionError) as error:
            if await self._ran_out_of_memory(job, began):
                return self._killed(job, output, began, Status.OUT_OF_MEMORY)
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
            raise NotDelivered
        try:
            for frame in frames[:-1]:
                self.writer.write(frame)
                await self.writer.drain()
        except ConnectionError as error:
            raise NotDelivered from error
        # The worker starts nothing before the last frame is complete.
        self.writer.write(frames[-1])
        await self.writer.drain()

    async def _listen(self, exchange: JobExchange) -> Outcome:
        while True:
            outcome = exchange.feed(await self._receive())
            if outcome is not None:
                return outcome

    async def _receive(self) -> list[Frame]:
        """At least one frame. Raises `EOFError` when the container has ended."""
        while True:
            data = await self.reader.read(READ_BYTES)
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

    def _killed(self, job: Job, output: OutputBuffer, began: float, status: Status) -> Outcome:
        """What is known of a job whose container had to go."""
        code, message = {
            Status.TIMED_OUT: (TIMED_OUT, f"It ran past its limit of {job.limits.wall_seconds:g} s and was killed."),
            Status.OUT_OF_MEMORY: (
                OUT_OF_MEMORY,
                f"It used more than its {job.limits.memory_bytes // MIB} MiB of memory and was killed.",
            ),
        }[status]
        return Outcome(
            job=job.id,
            status=status,
            exit_code=code,
            stdout=bytes(output.stdout),
            stderr=bytes(output.stderr),
            wall_seconds=time.time() - began,
            backend=self.backend,
            image=self.shape.image,
            message=message,
        )

    def _complaint(self) -> str:
        lines = self._complaints.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    async def remove(self) -> None:
        """Kill and remove. Idempotent; a daemon that is gone has taken its containers along."""
        if self._removed:
            return
        self._removed = True
        self.writer.close()
        try:
            await self.engine.remove(self.name)
        except SandboxError as error:
            log.warning("container_not_removed", container=self.name, error=str(error))
