"""A sandbox that is asked again when it broke: for campaigns, which outlive a daemon's restart.

A job is a pure function of its files, so a job whose container died is run again from its start; the broken attempt
gave nothing back, so nothing counts twice. What cannot pass by waiting (no image, no GPU toolkit, a refused request)
is raised at once. A job under which the sandbox breaks every time, while a job of our own runs through, is to blame
itself: it failed, which is an outcome and its candidate's affair. Not here: jobs that fail of themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

import structlog

from move37.sandbox.errors import DaemonUnreachable, DiskFull, SandboxBroken, SandboxError
from move37.sandbox.job import Job, Limits, OnOutput, Outcome, Protection, Status, lost_results
from move37.sandbox.sandbox import Sandbox

log = structlog.get_logger()

PAUSES = (1.0, 5.0, 20.0, 60.0)  # seconds before the second, third, ... attempt
BROKEN_TIMES = 3  # breaks of one job before the sandbox is asked whether it is sound
OUR_FAULT = 125  # exit code of a job that never came to an end of its own
_PASSING = (SandboxBroken, DaemonUnreachable, DiskFull)


class RetryingSandbox:
    """Around another sandbox; the same protocol."""

    def __init__(
        self, inner: Sandbox, *, pauses: tuple[float, ...] = PAUSES, on_wait: Callable[[str], None] = lambda text: None
    ) -> None:
        self._inner = inner
        self._pauses = pauses
        self._on_wait = on_wait

    @property
    def name(self) -> str:
        """Of the inner sandbox."""
        return self._inner.name

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """As the inner sandbox; again after each of the pauses while it is the sandbox that breaks."""
        broken = 0
        for pause in (*self._pauses, None):
            try:
                return await self._inner.run(job, on_output=on_output)
            except _PASSING as error:
                await self._forget(job.trust)
                broken += isinstance(error, SandboxBroken)
                if broken >= BROKEN_TIMES and await self._is_sound():
                    log.warning("job_breaks_the_sandbox", job=job.id, times=broken, why=str(error))
                    return _failed(job, self.name, f"The sandbox broke under it {broken} times: {error}")
                if pause is None:
                    raise
                log.warning("job_retried", job=job.id, pause=pause, why=str(error))
                self._on_wait(f"{job.id} is run again in {pause:.0f} s: {error}")
                await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _is_sound(self) -> bool:
        """Whether a job that does nothing runs through: then it is not the sandbox that is broken."""
        name = f"sound-{uuid4().hex[:12]}"
        limits = Limits(wall_seconds=30.0)
        nothing = Job(id=name, trust=name, argv=("python", "main.py"), files={"main.py": b"pass\n"}, limits=limits)
        try:
            return (await self._inner.run(nothing)).status is Status.DONE
        except SandboxError:
            return False
        finally:
            await self._forget(name)

    async def _forget(self, trust: str) -> None:
        try:
            await self._inner.release(trust)
        except SandboxError as error:
            log.warning("release_failed", trust=trust, why=str(error))

    async def release(self, trust: str) -> None:
        """As the inner sandbox."""
        await self._inner.release(trust)

    async def protections(self) -> tuple[Protection, ...]:
        """Of the inner sandbox."""
        return await self._inner.protections()

    async def close(self) -> None:
        """Close the inner sandbox."""
        await self._inner.close()


def _failed(job: Job, backend: str, message: str) -> Outcome:
    lost = lost_results(job)
    return Outcome(
        job=job.id,
        status=Status.FAILED,
        exit_code=OUR_FAULT,
        left_out=lost,
        left_out_count=len(lost),
        backend=backend,
        message=message,
    )
