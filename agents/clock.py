"""Time as the campaign sees it: all its sittings together, a soft end (the preset's) and a hard one (the brief's)."""

from __future__ import annotations

import time


class Clock:
    """Counts from `before` seconds, which earlier sittings have used."""

    def __init__(self, *, before: float = 0.0, soft: float | None = None, hard: float | None = None) -> None:
        self._began = time.monotonic() - before
        self._soft = soft
        self.hard = hard

    @property
    def seconds(self) -> float:
        """Used so far, over all sittings."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float | None:
        """Until the nearer end; None without one; never below zero."""
        ends = [end for end in (self._soft, self.hard) if end is not None]
        return max(0.0, min(ends) - self.seconds) if ends else None

    @property
    def hard_left(self) -> float | None:
        """Until the brief's own end; None without one."""
        return None if self.hard is None else max(0.0, self.hard - self.seconds)
