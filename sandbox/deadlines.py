"""How long the host waits for a job: one rule for every backend, in one clock.

    until the program starts     the files and its standard input have to travel, and the worker to come up
    while it runs                its own limit, which the worker keeps; a little more for the worker to report it
    after its end                the results have to travel

So time that the results take never counts as the program's. The clock decides only when the worker does not; what has
arrived by then is always looked at, for the event loop itself may have stood still.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from move37.sandbox.channel import JobExchange
from move37.sandbox.errors import SandboxBroken
from move37.sandbox.job import Job, Outcome, Status

START_SECONDS = 60.0
GRACE_SECONDS = 5.0
TRANSFER_BYTES_PER_SECOND = 20e6
LAST_LOOK_SECONDS = 0.2


@contextmanager
def translated_end() -> Iterator[None]:
    """A channel that breaks has ended."""
    try:
        yield
    except ConnectionError as error:
        raise EOFError from error


class JobClock:
    """Of one job; ask it while the exchange goes on."""

    def __init__(self, job: Job, exchange: JobExchange, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._job, self._exchange, self._clock = job, exchange, clock
        self._phase = ""
        self._until = 0.0

    def left(self) -> float:
        """Seconds until the host gives up; negative once it should have."""
        phase, seconds = self._allowance()
        if phase != self._phase:
            self._phase, self._until = phase, self._clock() + seconds
        return self._until - self._clock()

    def _allowance(self) -> tuple[str, float]:
        if self._exchange.announced_bytes is not None:
            return "results", START_SECONDS + self._exchange.announced_bytes / TRANSFER_BYTES_PER_SECOND
        if self._exchange.started:
            return "program", self._job.limits.wall_seconds + GRACE_SECONDS
        size = len(self._job.stdin) + sum(map(len, self._job.files.values()))
        return "input", START_SECONDS + size / TRANSFER_BYTES_PER_SECOND

    def give_up(self, wall_seconds: float, error: TimeoutError) -> Outcome:
        """What the job comes to when its time is over and its worker has not said so; the worker is killed before.

        Raises `SandboxBroken` when it is not the program whose time was over.
        """
        if self._phase == "program":
            return self._exchange.cut_short(Status.TIMED_OUT, wall_seconds)
        what = "take its files" if self._phase == "input" else "send its results"
        raise SandboxBroken(f"The sandbox did not {what} in time; the job may be tried again.") from error

    async def read(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `read` gives in time. Raises `TimeoutError` when nothing came until the end."""
        try:
            async with asyncio.timeout(self.left()):
                return await read()
        except TimeoutError:
            async with asyncio.timeout(LAST_LOOK_SECONDS):
                return await read()
