"""`DockerSandbox`: jobs of one candidate in one container, jobs of two candidates never.

Read in this order: `run` (one job), `_in_room` (one at a time, retried only while it certainly has not run), `_open`
(what happens once, before the first job), `release` and `close`. A `Room` is the container of one candidate and one
shape; a candidate whose jobs need different disks or GPUs has several.

A job with GPUs holds its lease for exactly as long as its container exists, and the container ends with the job.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import structlog

from move37.sandbox.docker import reap
from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.image import Image, Variant, judge_image, recipe, tag
from move37.sandbox.docker.isolation import OWNER_LABEL, Shape, gpu_environment, shape_for
from move37.sandbox.docker.member import Member, NotDelivered
from move37.sandbox.docker.pool import Pool, size
from move37.sandbox.docker.protections import list_protections
from move37.sandbox.docker.settings import DockerSettings
from move37.sandbox.errors import SandboxBroken, SandboxError
from move37.sandbox.gpus import Leases
from move37.sandbox.job import Job, Limits, OnOutput, Outcome, Protection
from move37.sandbox.overhead import Overhead
from move37.sandbox.owner import me

log = structlog.get_logger()

LEAST_HELD = 12  # seven baselines and the four best that take turns must not throw each other's containers out
TRIES = 3  # members that may turn out to be dead before a job is given up


@dataclass(eq=False)
class Room:
    """One candidate's container, and whose turn it is in it."""

    trust: str
    shape: Shape
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    member: Member | None = None
    used: float = 0.0  # monotonic time of the last job's end
    guests: int = 0  # jobs that run or wait here


class DockerSandbox:
    """Implements `move37.sandbox.sandbox.Sandbox`. Use from one event loop; `close` it."""

    def __init__(self, settings: DockerSettings | None = None, *, leases: Leases | None = None) -> None:
        self.settings = settings or DockerSettings()
        self._leases = leases or Leases()
        self._owner = str(me())
        self._engine: Engine | None = None
        self._pool: Pool | None = None
        self._images: dict[Variant, Image] = {}
        self._rooms: dict[tuple[str, Shape], Room] = {}
        self._opening = asyncio.Lock()
        self._overhead = Overhead()
        self._most_held = self.settings.held or max(LEAST_HELD, 2 * (os.cpu_count() or 1))

    @property
    def name(self) -> str:
        """ "docker"."""
        return "docker"

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """Run `job`; see `move37.sandbox.sandbox.Sandbox.run`."""
        with self._overhead.besides():
            image = await self._open("cuda" if job.limits.gpus else "cpu")
        # The container's own limit on a file is its disk: a job must not ask for more than it can be given.
        file_bytes = min(job.limits.file_bytes, job.limits.disk_bytes)
        job = replace(job, limits=replace(job.limits, file_bytes=file_bytes))
        if not job.limits.gpus:
            shape = shape_for(job.limits, image=image.id, runtime=self.settings.runtime)
            return await self._in_room(job, shape, on_output)
        lease = await self._leases.acquire(job.limits.gpus, wait_seconds=self.settings.gpu_wait_seconds)
        async with lease:
            given = gpu_environment(lease.devices, self.settings.gpu_memory_fraction)
            shape = shape_for(job.limits, image=image.id, runtime=self.settings.runtime, devices=lease.devices)
            try:
                return await self._in_room(replace(job, env={**job.env, **given}), shape, on_output)
            finally:
                await asyncio.shield(self._leave(self._rooms.pop((job.trust, shape), None)))

    async def _in_room(self, job: Job, shape: Shape, on_output: OnOutput | None) -> Outcome:
        async with self._room(job.trust, shape) as room:
            began = time.perf_counter()
            for _ in range(TRIES):
                member = await self._member(room, job.limits)
                try:
                    outcome = await member.run(job, on_output)
                except NotDelivered:
                    log.info("member_was_dead", member=member.name, job=job.id)
                    continue
                finally:
                    if not member.alive:
                        await asyncio.shield(self._leave(room))
                self._overhead.job(outcome, time.perf_counter() - began)
                return outcome
        raise SandboxBroken(f"{TRIES} containers ended before they could take job {job.id}: see what the daemon says")

    @asynccontextmanager
    async def _room(self, trust: str, shape: Shape) -> AsyncIterator[Room]:
        """The candidate's room, with everybody else of the same candidate outside."""
        room = self._rooms.setdefault((trust, shape), Room(trust, shape))
        room.guests += 1
        try:
            async with room.lock:
                yield room
        finally:
            room.guests -= 1
            room.used = time.monotonic()

    async def _member(self, room: Room, limits: Limits) -> Member:
        if room.member is not None and not room.member.alive:
            await self._leave(room)
        if room.member is None:
            await self._make_space()
            assert self._pool is not None
            room.member = await self._pool.claim(room.shape, limits)
        if not room.shape.frozen:
            try:
                await room.member.allow(limits)
            except SandboxError:
                await self._leave(room)
                raise
        return room.member

    async def _make_space(self) -> None:
        """Candidates that nobody released: the ones unused for longest lose their containers."""
        held = [room for room in self._rooms.values() if room.member is not None and not room.guests]
        held.sort(key=lambda room: room.used)
        for room in held[: max(0, len(held) - self._most_held + 1)]:
            log.info("member_retired", trust=room.trust)
            self._rooms.pop((room.trust, room.shape), None)
            await self._leave(room)

    async def _leave(self, room: Room | None) -> None:
        if room is not None and room.member is not None:
            member, room.member = room.member, None
            await member.remove()

    async def _open(self, variant: Variant) -> Image:
        """Connect, sweep, find the image, start warming: once, and again after a failure."""
        async with self._opening:
            if self._engine is None:
                engine = await Engine.connect()
                await reap.sweep(engine)
                self._engine = engine
                atexit.register(self._remove_now)
            if variant not in self._images:
                name = self.settings.image or tag(variant)
                self._images[variant] = judge_image(name, await self._engine.image(name), recipe(), variant)
            if self._pool is None:
                self._pool = Pool(self._engine, owner=self._owner, start_seconds=self.settings.start_seconds)
                self._keep_warm(self._pool, self._images[variant])
            return self._images[variant]

    def _keep_warm(self, pool: Pool, image: Image) -> None:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        count = size(os.cpu_count() or 1, memory) if self.settings.warm is None else self.settings.warm
        pool.keep(shape_for(Limits(), image=image.id, runtime=self.settings.runtime), count)

    async def release(self, trust: str) -> None:
        """See `move37.sandbox.sandbox.Sandbox.release`; a job that still runs there is killed."""
        mine = [key for key in self._rooms if key[0] == trust or key[0].startswith(f"{trust}.")]
        rooms = [self._rooms.pop(key) for key in mine]
        with self._overhead.besides():
            await asyncio.gather(*(self._leave(room) for room in rooms))

    async def protections(self) -> tuple[Protection, ...]:
        """What holds for the next job. Raises `DaemonUnreachable`."""
        engine = self._engine or await Engine.connect()
        try:
            return list_protections(await engine.info(), self.settings.runtime)
        finally:
            if engine is not self._engine:
                engine.close()

    async def close(self) -> None:
        """Remove everything that this sandbox started. Idempotent."""
        rooms, self._rooms = list(self._rooms.values()), {}
        await asyncio.gather(*(self._leave(room) for room in rooms))
        if self._pool is not None:
            await self._pool.close()
            self._pool = None
        if self._engine is not None:
            atexit.unregister(self._remove_now)
            self._engine.close()
            self._engine = None
            self._overhead.closed()

    def _remove_now(self) -> None:
        """At the end of a process that did not close us."""
        engine = self._engine
        if engine is None:
            return
        with suppress(Exception):
            for container in engine.containers_now((f"{OWNER_LABEL}={self._owner}",)):
                engine.remove_now(reap.name_of(container))
