"""Jobs without Docker: a few zygotes, each running one job at a time in namespaces of its own.

One zygote, and the exchange with it, is `zygote_process`. What confines a job stands in `confine` and `namespaces`;
what is active on this machine says `protections()`, from a job that tried.

Not covered: Windows; sharing one zygote between event loops (a `ProcessSandbox` belongs to the loop that first ran it).
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace

import structlog

from move37.sandbox import result_validation
from move37.sandbox.errors import DiskFull, SandboxBroken, SandboxUnavailable
from move37.sandbox.gpu_leases import Leases
from move37.sandbox.gpus import gpu_environment
from move37.sandbox.job import Job, OnOutput, Outcome, Protection
from move37.sandbox.overhead import Overhead
from move37.sandbox.process import probe, reap
from move37.sandbox.process.zygote_process import ZygoteNotDelivered, ZygoteProcess, ZygoteSettings

log = structlog.get_logger()

GPU_WAIT_SECONDS = 3600.0
TRIES = 3  # zygotes that may turn out to be dead before a job is given up


class ProcessSandbox:
    """Runs jobs in forked children of warm interpreters, confined by the kernel as far as it allows.

    `max_workers` zygotes at most (0: one a core), started when they are needed; further jobs wait for one.
    """

    name = "process"

    def __init__(
        self, max_workers: int = 0, *, settings: ZygoteSettings | None = None, leases: Leases | None = None
    ) -> None:
        self._size = max_workers or len(_cores())
        self._settings = settings or ZygoteSettings()
        self._idle: list[ZygoteProcess] = []
        self._all: set[ZygoteProcess] = set()
        self._turns = asyncio.Semaphore(self._size)
        self._leases = leases or Leases()
        self._overhead = Overhead()
        self._closed = False
        self._swept = False
        self._came_up = False  # whether a zygote ever did: then one that does not lacks what was there before

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """See `move37.sandbox.sandbox.Sandbox`. Raises `ValueError` for a job that cannot be described."""
        if not job.argv:
            raise ValueError("a job needs a program to run")
        for name in job.files:
            result_validation.check_name(name)
        if not job.limits.gpus:
            return await self._run(job, on_output)
        async with await self._leases.acquire(job.limits.gpus, wait_seconds=GPU_WAIT_SECONDS) as lease:
            return await self._run(replace(job, env={**job.env, **gpu_environment(lease.devices, 1.0)}), on_output)

    async def _run(self, job: Job, on_output: OnOutput | None) -> Outcome:
        async with self._turns:
            for _ in range(TRIES):
                started = time.monotonic()
                zygote = await self._take()
                try:
                    outcome = await zygote.run(job, on_output)
                except ZygoteNotDelivered:
                    await asyncio.shield(self._discard(zygote))
                    continue
                except (asyncio.CancelledError, DiskFull):
                    self._give_back(zygote)
                    raise
                except BaseException:
                    await asyncio.shield(self._discard(zygote))
                    raise
                self._give_back(zygote)
                self._overhead.job(outcome, time.monotonic() - started)
                return outcome
        raise SandboxBroken(f"{TRIES} sandbox processes ended before they could take job {job.id}")

    async def warm(self, count: int = 1) -> None:
        """Have `count` zygotes ready before the first job."""
        held = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._take()) for _ in range(min(count, self._size))]
            held = [task.result() for task in tasks]
        finally:
            self._idle += held

    async def require_isolation(self) -> None:
        """Raises `SandboxUnavailable` where a job would see and reach what is the user's own."""
        async with self._turns:
            zygote = await self._take()
            self._give_back(zygote)
        report = zygote.greeting.report
        missing = [] if report["spaces"] else ["namespaces"]
        missing += [] if report["seccomp"] else ["a system call filter"]
        if missing:
            why = report["reasons"].get("namespaces") or report["reasons"].get("seccomp") or "not on this system"
            raise SandboxUnavailable(
                f"Code that a language model wrote does not run here without {' and '.join(missing)} ({why}): "
                "use Docker, or a machine that allows them"
            )

    async def release(self, trust: str) -> None:
        """Nothing is held for a candidate here: each job has its own namespaces and folder."""

    async def protections(self) -> tuple[Protection, ...]:
        """What a job that tried found, with the reason where something is missing."""
        async with self._turns:
            zygote = await self._take()
            self._give_back(zygote)
        return probe.read(await self.run(probe.job()), zygote.greeting.report)

    async def close(self) -> None:
        if not self._closed and self._overhead.jobs:
            self._overhead.closed()
        self._closed = True
        zygotes, self._all, self._idle = list(self._all), set(), []
        await asyncio.gather(*(zygote.end() for zygote in zygotes))

    async def __aenter__(self) -> ProcessSandbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _take(self) -> ZygoteProcess:
        if self._closed:
            raise SandboxUnavailable("This sandbox was closed; open another one.")
        while self._idle:
            zygote = self._idle.pop()
            if zygote.alive:
                return zygote
            await self._discard(zygote)
        if not self._swept:
            self._swept = True
            await asyncio.to_thread(reap.sweep)
        try:
            zygote = await ZygoteProcess.start(self._settings)
        except SandboxUnavailable as error:
            if self._came_up:
                raise SandboxBroken(str(error)) from error
            raise
        self._came_up = True
        if self._closed:  # meanwhile
            await zygote.end()
            raise SandboxUnavailable("This sandbox was closed; open another one.")
        self._all.add(zygote)
        log.debug("zygote_started", pid=zygote.pid, seconds=zygote.greeting.warm_seconds)
        return zygote

    def _give_back(self, zygote: ZygoteProcess) -> None:
        if zygote.alive and zygote in self._all:
            self._idle.append(zygote)

    async def _discard(self, zygote: ZygoteProcess) -> None:
        self._all.discard(zygote)
        await zygote.end()


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
