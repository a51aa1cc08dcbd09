"""The border between us and code that we do not trust: one protocol, kept small on purpose."""

from __future__ import annotations

from typing import Protocol

from move37.sandbox.job import Job, OnOutput, Outcome, Protection


class Sandbox(Protocol):
    """Runs jobs. `sandbox.docker` and `sandbox.process` implement it; nothing else needs to know which."""

    @property
    def name(self) -> str:
        """ "docker" or "process"."""
        ...

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """Run `job` to its end; `on_output` is called with stdout and stderr while it runs.

        Cancelling the awaiting task kills the job and everything it started before `CancelledError` leaves.
        Raises `SandboxError` when the sandbox (not the job) broke.
        """
        ...

    async def release(self, trust: str) -> None:
        """The candidate has ended: remove whatever is held for `trust`, and for "`trust`.anything". Unknown names are
        ignored."""
        ...

    async def protections(self) -> tuple[Protection, ...]:
        """What is enforced here, and what is not."""
        ...

    async def close(self) -> None:
        """Remove everything that this sandbox started. Idempotent."""
        ...
