"""One launcher with its warm zygote as the host sees it: a child process, and the exchange of jobs with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from move37.sandbox.channel import Frames, Greeting, JobExchange, encode_cancel, encode_job, read_greeting
from move37.sandbox.deadlines import JobClock, translated_end
from move37.sandbox.errors import SandboxBroken, SandboxUnavailable
from move37.sandbox.job import Job, OnOutput, Outcome

START_SECONDS = 300.0  # a cold disk or a busy machine is slow to import torch; a process that died is seen at once
END_SECONDS = 10.0  # until a zygote that was told to end is killed
CANCEL_SECONDS = 2.0
READ_BYTES = 1 << 20
ENTRY = Path(__file__).with_name("launcher.py")
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


# How to wait for a reading: with or without a limit.
Read = Callable[[Callable[[], Awaitable[bytes]]], Awaitable[bytes]]


class ZygoteNotDelivered(Exception):
    """The job never reached the worker: another one may run it without running it twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZygoteSettings:
    """How the zygotes of one sandbox are started."""

    warm: bool = True  # import torch before the first job; False for a sandbox with one job, which may not need it
    prefix: tuple[str, ...] = ()  # a command that starts ours, such as one that becomes a user of less rights
    namespaces: bool = True  # False: run without; tests imitate machines that forbid namespaces
    cgroups: bool = True  # False: run without; tests imitate machines that forbid control groups


class ZygoteProcess:
    """One zygote, from its start to its end."""

    def __init__(self, process: asyncio.subprocess.Process, greeting: Greeting, frames: Frames) -> None:
        self._process = process
        self._frames = frames
        self.greeting = greeting

    @classmethod
    async def start(cls, settings: ZygoteSettings) -> ZygoteProcess:
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
            zygote = cls(process, read_greeting(found[0][1]), frames)
        except BaseException as error:
            await asyncio.shield(end(process))
            if isinstance(error, TimeoutError):
                raise SandboxUnavailable(f"The sandbox was not ready after {START_SECONDS:g} s.") from error
            raise
        zygote._drain = asyncio.create_task(_drain(process))
        return zygote

    _drain: asyncio.Task[None]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def run(self, job: Job, on_output: OnOutput | None) -> Outcome:
        """One job. After any exception but a cancelled job's own, this zygote must be ended.

        Raises `ZygoteNotDelivered` while it is certain that the program has not run, otherwise `SandboxError`.
        """
        exchange = JobExchange(
            job, on_output=on_output, backend="process", memory_is_counted=self.greeting.report["memory_group"]
        )
        clock = JobClock(job, exchange)
        began = time.monotonic()
        try:
            async with asyncio.timeout(clock.left()):
                await self._deliver(job)
            return await self._listen(exchange, clock.read)
        except asyncio.CancelledError:
            await to_its_end(self._cancel(job, exchange))
            raise
        except EOFError as error:
            if not exchange.started:
                raise ZygoteNotDelivered from error
            raise SandboxBroken("The sandbox worker died; the job may be tried again.") from error
        except TimeoutError as error:
            await to_its_end(self.end())
            return clock.give_up(time.monotonic() - began, error)

    async def _deliver(self, job: Job) -> None:
        assert self._process.stdin is not None
        for data in encode_job(job):
            with translated_end():
                self._process.stdin.write(data)
                await self._process.stdin.drain()

    async def _listen(self, exchange: JobExchange, read: Read) -> Outcome:
        stdout = self._process.stdout
        assert stdout is not None
        while True:
            # Not so what `on_output` raises: a reader of ours that has gone is no fault of the worker's.
            with translated_end():
                data = await read(lambda: stdout.read(READ_BYTES))
            if not data:
                raise EOFError
            if (outcome := exchange.feed(self._frames.feed(data))) is not None:
                return outcome

    async def _cancel(self, job: Job, exchange: JobExchange) -> None:
        """Kill the job; the zygote survives when it answers in time and had the whole job already."""
        assert self._process.stdin is not None
        if exchange.started:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CANCEL_SECONDS):
                    self._process.stdin.write(encode_cancel(job.id))
                    await self._process.stdin.drain()
                    await self._listen(exchange, lambda read: read())
                    return
        await self.end()

    async def end(self) -> None:
        """Kill the zygote and all that it started, and wait until it is gone. Idempotent."""
        await end(self._process)
        self._drain.cancel()


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait until it is done, however often we are cancelled meanwhile: nobody may use what it still works on."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM is enough: the launcher kills the supervisor, whose namespace dies with it, and cleans up."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # else its pipes wait for the garbage collector


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Read and drop stderr: after the greeting only import warnings of libraries arrive here."""
    assert process.stderr is not None
    while await process.stderr.read(READ_BYTES):
        pass


async def _last_words(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    words = (await process.stderr.read(READ_BYTES)).decode("utf-8", "replace").strip().splitlines()
    return f"The process sandbox cannot start here ({words[-1] if words else 'it said nothing'})."
