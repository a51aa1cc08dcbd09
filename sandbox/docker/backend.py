"""`DockerSandbox`: jobs of one candidate in one container, jobs of two candidates never.

Read in this order: `run` (one job), `_in_slot` (one at a time, retried only while it certainly has not run), `_open`
(what happens once, before the first job), `release` and `close`. A `Slot` is the container of one candidate and one
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
from move37.sandbox.docker.confinement import OWNER_LABEL, Shape, shape_for
from move37.sandbox.docker.container import ContainerNotDelivered, WorkerContainer
from move37.sandbox.docker.engine import Engine
from move37.sandbox.docker.image import Image, Variant, judge_image, recipe, tag
from move37.sandbox.docker.pool import CLOSED, Pool, size_here
from move37.sandbox.docker.protections import list_protections
from move37.sandbox.docker.settings import DockerSettings
from move37.sandbox.errors import SandboxBroken, SandboxError, SandboxUnavailable
from move37.sandbox.gpu_leases import Leases
from move37.sandbox.gpus import gpu_environment
from move37.sandbox.job import Job, Limits, OnOutput, Outcome, Protection
from move37.sandbox.overhead import Overhead
from move37.sandbox.process_identity import current

log = structlog.get_logger()

LEAST_HELD = 12  # containers: seven baselines and four promoted candidates alternate, and must not evict each other
TRIES = 3  # containers that may turn out to be dead before a job is given up


@dataclass(eq=False)
class Slot:
    """One candidate's container, and whose turn it is in it."""

    trust: str
    shape: Shape
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    container: WorkerContainer | None = None
    used: float = 0.0  # monotonic time of the last job's end
    waiting_jobs: int = 0  # jobs that run or wait here


class DockerSandbox:
    """Implements `move37.sandbox.sandbox.Sandbox`. Use from one event loop; `close` it."""

    def __init__(self, settings: DockerSettings | None = None, *, leases: Leases | None = None) -> None:
        self.settings = settings or DockerSettings()
        self._leases = leases or Leases()
        self._owner = str(current())
        self._engine: Engine | None = None
        self._pool: Pool | None = None
        self._images: dict[Variant, Image] = {}
        self._slots: dict[tuple[str, Shape], Slot] = {}
        self._opening = asyncio.Lock()
        self._overhead = Overhead()
        self._closed = self._swept = False
        self._removals: set[asyncio.Task[None]] = set()
        self._most_held = self.settings.held or max(LEAST_HELD, 2 * (os.cpu_count() or 1))

    @property
    def name(self) -> str:
        """ "docker"."""
        return "docker"

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """Run `job`; see `move37.sandbox.sandbox.Sandbox.run`."""
        with self._overhead.timed():
            image = await self._open("cuda" if job.limits.gpus else "cpu")
        # The container's own limit on a file is its disk: a job must not ask for more than it can be given.
        file_bytes = min(job.limits.file_bytes, job.limits.disk_bytes)
        job = replace(job, limits=replace(job.limits, file_bytes=file_bytes))
        if not job.limits.gpus:
            shape = shape_for(job.limits, image=image.id, runtime=self.settings.runtime)
            return await self._in_slot(job, shape, on_output)
        lease = await self._leases.acquire(job.limits.gpus, wait_seconds=self.settings.gpu_wait_seconds)
        async with lease:
            given = gpu_environment(lease.devices, self.settings.gpu_memory_fraction)
            shape = shape_for(job.limits, image=image.id, runtime=self.settings.runtime, devices=lease.devices)
            try:
                return await self._in_slot(replace(job, env={**job.env, **given}), shape, on_output)
            finally:
                self._vacate(self._slots.pop((job.trust, shape), None))
                await asyncio.shield(self._removed())

    async def begin_warming(self) -> None:
        """Start containers before the first job asks for one; whoever has other things to do first need not wait then.

        Raises what opening the sandbox raises.
        """
        with self._overhead.timed():
            await self._open("cpu")

    async def _in_slot(self, job: Job, shape: Shape, on_output: OnOutput | None) -> Outcome:
        async with self._slot(job.trust, shape) as slot:
            began = time.perf_counter()
            for _ in range(TRIES):
                container = await self._container(slot, job.limits)
                try:
                    outcome = await container.run(job, on_output)
                except ContainerNotDelivered:
                    log.info("container_was_dead", container=container.name, job=job.id)
                    continue
                finally:
                    if not container.alive:
                        self._vacate(slot)
                self._overhead.job(outcome, time.perf_counter() - began)
                return outcome
        raise SandboxBroken(f"{TRIES} containers ended before they could take job {job.id}: see what the daemon says")

    @asynccontextmanager
    async def _slot(self, trust: str, shape: Shape) -> AsyncIterator[Slot]:
        """The candidate's slot, locked: jobs of one candidate run one after another."""
        while True:
            self._refuse_if_closed()
            slot = self._slots.setdefault((trust, shape), Slot(trust, shape))
            slot.waiting_jobs += 1
            try:
                async with slot.lock:
                    # The candidate may have been released while we waited: then its slot was replaced.
                    if self._slots.get((trust, shape)) is not slot:
                        continue
                    yield slot
                    return
            finally:
                slot.waiting_jobs -= 1
                slot.used = time.monotonic()

    async def _container(self, slot: Slot, limits: Limits) -> WorkerContainer:
        if slot.container is not None and not slot.container.alive:
            self._vacate(slot)
        if slot.container is None:
            self._make_space()
            if self._pool is None:
                raise SandboxUnavailable(CLOSED)
            claimed = await self._pool.claim(slot.shape, limits)
            if self._slots.get((slot.trust, slot.shape)) is not slot:
                self._remove_soon(claimed)
                raise SandboxBroken(f"the candidate {slot.trust} was released while its job waited for a container")
            slot.container = claimed
        if not slot.shape.frozen:
            try:
                await slot.container.allow(limits)
            except SandboxError:
                self._vacate(slot)
                raise
        return slot.container

    def _make_space(self) -> None:
        """Evict the containers that were unused for longest, of candidates that were never released."""
        held = [slot for slot in self._slots.values() if slot.container is not None and not slot.waiting_jobs]
        held.sort(key=lambda slot: slot.used)
        for slot in held[: max(0, len(held) - self._most_held + 1)]:
            log.info("container_retired", trust=slot.trust)
            self._slots.pop((slot.trust, slot.shape), None)
            self._vacate(slot)

    def _vacate(self, slot: Slot | None) -> None:
        if slot is not None and slot.container is not None:
            container, slot.container = slot.container, None
            self._remove_soon(container)

    def _remove_soon(self, container: WorkerContainer) -> None:
        """Remove in the background; only `close`, and a job that needs its GPU, wait for the daemon to finish."""
        task = asyncio.create_task(container.remove())
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)

    async def _removed(self) -> None:
        while self._removals:
            await asyncio.wait(set(self._removals))

    async def _open(self, variant: Variant) -> Image:
        """Connect, sweep, find the image, start warming: once, and again after a failure."""
        async with self._opening:
            self._refuse_if_closed()
            if self._engine is None:
                self._engine = await Engine.connect()
                atexit.register(self._remove_now)
            if not self._swept:
                await reap.sweep(self._engine)
                self._swept = True
            if variant not in self._images:
                name = self.settings.image or tag(variant)
                self._images[variant] = judge_image(name, await self._engine.image(name), recipe(), variant)
            self._refuse_if_closed()  # meanwhile
            if self._pool is None:
                self._pool = Pool(self._engine, owner=self._owner, start_seconds=self.settings.start_seconds)
                self._keep_warm(self._pool, self._images[variant])
            return self._images[variant]

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise SandboxUnavailable(CLOSED)

    def _keep_warm(self, pool: Pool, image: Image) -> None:
        count = size_here() if self.settings.warm is None else self.settings.warm
        pool.keep(shape_for(Limits(), image=image.id, runtime=self.settings.runtime), count)

    async def release(self, trust: str) -> None:
        """See `move37.sandbox.sandbox.Sandbox.release`; a job that still runs there is killed."""
        mine = [key for key in self._slots if key[0] == trust or key[0].startswith(f"{trust}.")]
        for slot in [self._slots.pop(key) for key in mine]:
            self._vacate(slot)

    async def protections(self) -> tuple[Protection, ...]:
        """What holds for the next job. Raises `DaemonUnreachable`."""
        engine = self._engine or await Engine.connect()
        try:
            return list_protections(await engine.info(), self.settings.runtime)
        finally:
            if engine is not self._engine:
                engine.close()

    async def close(self) -> None:
        """Remove everything that this sandbox started, jobs that still run or wait among it. Idempotent."""
        self._closed = True
        slots, self._slots = list(self._slots.values()), {}
        for slot in slots:
            self._vacate(slot)
        async with self._opening:  # what is just being opened is closed, too
            if self._pool is not None:
                await self._pool.close()
                self._pool = None
            await self._removed()
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
