"""A sandbox that is asked again when it broke: for campaigns, which outlive a daemon's restart.

A job is a pure function of its files, so a job whose container died is run again from its start; the broken attempt
gave nothing back, so nothing counts twice. What cannot pass by waiting (no image, no GPU toolkit, a refused request)
is raised at once. Not here: jobs that fail, which are outcomes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from move37.sandbox.errors import DaemonUnreachable, DiskFull, SandboxBroken, SandboxError
from move37.sandbox.job import Job, OnOutput, Outcome, Protection
from move37.sandbox.sandbox import Sandbox

log = structlog.get_logger()

PAUSES = (1.0, 5.0, 20.0, 60.0)  # seconds before the second, third, ... attempt
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
        for pause in self._pauses:
            try:
                return await self._inner.run(job, on_output=on_output)
            except _PASSING as error:
                log.warning("job_retried", job=job.id, pause=pause, why=str(error))
                self._on_wait(f"{job.id} is run again in {pause:.0f} s: {error}")
                await self._forget(job.trust)
                await asyncio.sleep(pause)
        return await self._inner.run(job, on_output=on_output)

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
