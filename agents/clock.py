"""Time as the campaign sees it: all its sessions together, a soft end (the preset's) and a hard one (the brief's).

It is stopped while the user paused the campaign or is asked something (`Pauses`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from move37.agents.errors import BudgetSpent

T = TypeVar("T")
LOOK = 0.5  # seconds between two looks at the time, which may be held or extended meanwhile


class Pauses:
    """How long the campaign's clock was stopped for a user; overlapping reasons count once. Thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._holders = 0
        self._since = 0.0
        self._before = 0.0

    def hold(self) -> None:
        """Stop the clock; each call needs a `release`."""
        with self._lock:
            if self._holders == 0:
                self._since = self._now()
            self._holders += 1

    def release(self) -> None:
        """Undo one `hold`; after the last one the clock runs."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._before += self._now() - self._since

    @contextmanager
    def held(self) -> Iterator[None]:
        """A context in which the clock is stopped."""
        self.hold()
        try:
            yield
        finally:
            self.release()

    @property
    def seconds(self) -> float:
        """Seconds for which the clock was stopped so far."""
        with self._lock:
            return self._before + (self._now() - self._since if self._holders else 0.0)


class Clock:
    """Counts from `before` seconds, which earlier sessions have used, and not while `pauses` hold it."""

    def __init__(
        self,
        *,
        before: float = 0.0,
        soft: float | None = None,
        hard: float | None = None,
        pauses: Pauses | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._pauses = pauses or Pauses(now)
        self._began = now() - before - self._pauses.seconds  # earlier pauses are not its own
        self._soft = soft
        self.hard = hard
        if hard is not None:
            self.extend(hard)

    def extend(self, hard: float) -> None:
        """Set the brief's limit; a preset's earlier one is set to it too, because the user asked for that time."""
        self.hard = hard
        if self._soft is not None:
            self._soft = max(self._soft, hard)

    @property
    def seconds(self) -> float:
        """Used so far, over all sessions."""
        return self._now() - self._began - self._pauses.seconds

    @property
    def left(self) -> float | None:
        """Until the nearer end; None without one; never below zero."""
        return None if self._end is None else max(0.0, self._end - self.seconds)

    async def within(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives, unless the nearer end comes before: then it is cancelled. Raises `BudgetSpent`."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                if self.left == 0.0:
                    raise BudgetSpent(f"the time limit of {self._end:.0f} s is reached")
                await asyncio.wait({task}, timeout=LOOK)
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)  # its job has ended when this has

    @property
    def hard_left(self) -> float | None:
        """Until the brief's own end; None without one."""
        return None if self.hard is None else max(0.0, self.hard - self.seconds)

    @property
    def _end(self) -> float | None:
        return min((end for end in (self._soft, self.hard) if end is not None), default=None)
