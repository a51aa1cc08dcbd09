"""How much of a campaign's wall time the sandbox adds: what its callers wait for besides the programs themselves.

Each `job_finished` in the log carries `seconds` (what the caller waited, once it was this job's turn) and
`inside_seconds` (what the program ran, by the worker's clock); `sandbox_closed` sums them up, together with opening the
sandbox and releasing candidates, and gives the share of its lifetime. Jobs that run side by side are added up, so the
share is an upper bound. Not covered: jobs that ended in an exception, and queueing behind jobs of the same candidate.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from move37.sandbox.job import Outcome

log = structlog.get_logger()


class Overhead:
    """The sums of one sandbox, from now until `closed`."""

    def __init__(self) -> None:
        self.jobs = 0
        self.inside_seconds = 0.0
        self.added_seconds = 0.0
        self._began = time.perf_counter()

    def job(self, outcome: Outcome, seconds: float) -> None:
        """A job for which its caller waited so long."""
        self.jobs += 1
        self.inside_seconds += outcome.wall_seconds
        self.added_seconds += max(0.0, seconds - outcome.wall_seconds)
        log.info(
            "job_finished",
            job=outcome.job,
            status=str(outcome.status),
            seconds=round(seconds, 4),
            inside_seconds=round(outcome.wall_seconds, 4),
        )

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Whatever a caller waits for that is no job."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.added_seconds += time.perf_counter() - began

    def closed(self) -> None:
        """Say what it came to."""
        lifetime = time.perf_counter() - self._began
        log.info(
            "sandbox_closed",
            jobs=self.jobs,
            lifetime_seconds=round(lifetime, 2),
            inside_seconds=round(self.inside_seconds, 2),
            added_seconds=round(self.added_seconds, 2),
            added_share=round(self.added_seconds / lifetime, 4),
        )
