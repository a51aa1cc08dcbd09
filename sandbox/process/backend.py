"""Jobs without Docker: a few zygotes, each running one job at a time in namespaces of its own.

Read in this order: `Member` (one zygote and the talk with it), `ProcessSandbox` (the pool). What confines a job stands
in confine.py and rooms.py; what is active on this machine says `protections()`, from a job that tried.

Not covered: Windows; sharing one zygote between event loops (a `ProcessSandbox` belongs to the loop that first ran it).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from move37.sandbox import collect
from move37.sandbox.channel import Conversation, Frames, Greeting, encode_cancel, encode_job, read_greeting
from move37.sandbox.errors import DiskFull, SandboxBroken, SandboxUnavailable
from move37.sandbox.gpus import Leases
from move37.sandbox.job import Job, OnOutput, Outcome, Protection
from move37.sandbox.overhead import Overhead
from move37.sandbox.process import probe, reap

log = structlog.get_logger()

START_SECONDS = 120.0  # a cold disk reads torch slowly
GRACE_SECONDS = 10.0  # past a job's own limit, before the whole member is killed
CANCEL_SECONDS = 2.0
GPU_WAIT_SECONDS = 3600.0
READ_BYTES = 1 << 20
ENTRY = Path(__file__).with_name("zygote.py")
# All of it: nothing of the driver's environment reaches a zygote, and so no job.
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the zygotes of one sandbox are started."""

    warm: bool = (
        True  # torch is imported before the first job; not for a sandbox that has one job, which may not need it
    )
    prefix: tuple[str, ...] = ()  # a command that starts ours, such as one that becomes a user of less rights
    namespaces: bool = True  # False and
    cgroups: bool = True  # False show in tests what is left where a machine forbids them


class Member:
    """One zygote, from its start to its end."""

    def __init__(self, process: asyncio.subprocess.Process, greeting: Greeting, frames: Frames) -> None:
        self._process = process
        self._frames = frames
        self.greeting = greeting

    @classmethod
    async def start(cls, settings: Settings) -> Member:
        """A zygote that waits for jobs. Raises `SandboxUnavailable`."""
        config = json.dumps(
            {"namespaces": settings.namespaces, "cgroups": settings.cgroups, "warm": settings.warm},
        )
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *settings.prefix,
                sys.executable,
                str(ENTRY),
                config,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
                close_fds=True,
            )
        except OSError as error:
            raise SandboxUnavailable(f"A sandbox process cannot be started here ({error.strerror}).") from error
        assert process.stdout is not None
        frames = Frames()
        try:
            async with asyncio.timeout(START_SECONDS):
                while not (found := frames.feed(data := await process.stdout.read(READ_BYTES))):
                    if not data:
                        raise SandboxUnavailable(await _last_words(process))
        except TimeoutError as error:
            raise SandboxUnavailable(f"The sandbox was not ready after {START_SECONDS:g} s.") from error
        except BaseException:
            await end(process)
            raise
        member = cls(process, read_greeting(found[0][1]), frames)
        member._drain = asyncio.create_task(_drain(process))
        return member

    _drain: asyncio.Task[None]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def run(self, job: Job, on_output: OnOutput | None) -> Outcome:
        """One job. After any exception but a cancelled job's own, this member must be ended."""
        talk = Conversation(
            job, on_output=on_output, backend="process", memory_is_counted=self.greeting.report["memory_group"]
        )
        try:
            async with asyncio.timeout(job.limits.wall_seconds + GRACE_SECONDS + _transfer_seconds(job)):
                return await self._talk(job, talk)
        except asyncio.CancelledError:
            await asyncio.shield(self._cancel(job, talk))
            raise
        except TimeoutError as error:
            raise SandboxBroken("The sandbox did not end a job whose time was over; it was killed with it.") from error

    async def _talk(self, job: Job, talk: Conversation) -> Outcome:
        assert self._process.stdin is not None
        try:
            for data in encode_job(job):
                self._process.stdin.write(data)
                await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise SandboxBroken("The sandbox worker died; the job may be tried again.") from error
        return await self._listen(talk)

    async def _listen(self, talk: Conversation) -> Outcome:
        assert self._process.stdout is not None
        while True:
            data = await self._process.stdout.read(READ_BYTES)
            if not data:
                raise SandboxBroken("The sandbox worker died; the job may be tried again.")
            if (outcome := talk.hear(self._frames.feed(data))) is not None:
                return outcome

    async def _cancel(self, job: Job, talk: Conversation) -> None:
        """Kill the job; the member survives when it answers in time and had the whole job already."""
        assert self._process.stdin is not None
        if talk.started:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CANCEL_SECONDS):
                    self._process.stdin.write(encode_cancel(job.id))
                    await self._process.stdin.drain()
                    await self._listen(talk)
                    return
        await self.end()

    async def end(self) -> None:
        """Kill the zygote and all that it started, and wait until it is gone. Idempotent."""
        await end(self._process)
        self._drain.cancel()


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM is enough: the launcher kills the keeper, whose namespace dies with it, and cleans up."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # else its pipes wait for the garbage collector


async def _drain(process: asyncio.subprocess.Process) -> None:
    """What libraries say while they are imported; nobody needs it once the greeting is here."""
    assert process.stderr is not None
    while await process.stderr.read(READ_BYTES):
        pass


async def _last_words(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    words = (await process.stderr.read(READ_BYTES)).decode("utf-8", "replace").strip().splitlines()
    return f"The process sandbox cannot start here ({words[-1] if words else 'it said nothing'})."


def _transfer_seconds(job: Job) -> float:
    """Time to move the job's files in and its results out, at 20 MB a second."""
    return (sum(map(len, job.files.values())) + job.limits.result_bytes) / 20e6


class ProcessSandbox:
    """Runs jobs in forked children of warm interpreters, confined by the kernel as far as it allows.

    `max_workers` zygotes at most (0: one a core), started when they are needed; further jobs wait for one.
    """

    name = "process"

    def __init__(self, max_workers: int = 0, *, settings: Settings | None = None, leases: Leases | None = None) -> None:
        self._size = max_workers or len(_cores())
        self._settings = settings or Settings()
        self._idle: list[Member] = []
        self._all: set[Member] = set()
        self._seats = asyncio.Semaphore(self._size)
        self._leases = leases or Leases()
        self._overhead = Overhead()
        self._closed = False
        self._swept = False

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """See `move37.sandbox.sandbox.Sandbox`. Raises `ValueError` for a job that cannot be described."""
        if not job.argv:
            raise ValueError("a job needs a program to run")
        for name in job.files:
            collect.check_name(name)
        if not job.limits.gpus:
            return await self._run(job, on_output)
        from move37.sandbox.docker.isolation import gpu_environment

        async with await self._leases.acquire(job.limits.gpus, wait_seconds=GPU_WAIT_SECONDS) as lease:
            return await self._run(replace(job, env={**job.env, **gpu_environment(lease.devices, 1.0)}), on_output)

    async def _run(self, job: Job, on_output: OnOutput | None) -> Outcome:
        async with self._seats:
            started = time.monotonic()
            member = await self._take()
            try:
                outcome = await member.run(job, on_output)
            except (asyncio.CancelledError, DiskFull):
                self._give_back(member)
                raise
            except BaseException:
                await asyncio.shield(self._discard(member))
                raise
            self._give_back(member)
        self._overhead.job(outcome, time.monotonic() - started)
        return outcome

    async def warm(self, count: int = 1) -> None:
        """Have `count` zygotes ready before the first job."""
        held = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._take()) for _ in range(min(count, self._size))]
            held = [task.result() for task in tasks]
        finally:
            self._idle += held

    async def release(self, trust: str) -> None:
        """Nothing is held for a candidate here: each job has its own namespaces and folder."""

    async def protections(self) -> tuple[Protection, ...]:
        """What a job that tried found, with the reason where something is missing."""
        async with self._seats:
            member = await self._take()
            self._give_back(member)
        return probe.read(await self.run(probe.job()), member.greeting.report)

    async def close(self) -> None:
        if not self._closed and self._overhead.jobs:
            self._overhead.closed()
        self._closed = True
        members, self._all, self._idle = list(self._all), set(), []
        await asyncio.gather(*(member.end() for member in members))

    async def __aenter__(self) -> ProcessSandbox:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _take(self) -> Member:
        if self._closed:
            raise SandboxUnavailable("This sandbox was closed; open another one.")
        while self._idle:
            member = self._idle.pop()
            if member.alive:
                return member
            await self._discard(member)
        if not self._swept:
            self._swept = True
            await asyncio.to_thread(reap.sweep)
        member = await Member.start(self._settings)
        self._all.add(member)
        log.debug("zygote_started", pid=member.pid, seconds=member.greeting.warm_seconds)
        return member

    def _give_back(self, member: Member) -> None:
        if member.alive and member in self._all:
            self._idle.append(member)

    async def _discard(self, member: Member) -> None:
        self._all.discard(member)
        await member.end()


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
