"""A candidate's processes by name, and the CPU time that all of them together may take."""

from __future__ import annotations

import time

from move37.lab.inside.remote import CandidateDied, Remote
from move37.lab.inside.spawner import Spawner, cpu_seconds_of


class NamedProcesses:
    """Each is started where it is first asked for."""

    def __init__(self, spawner: Spawner, *, seconds: float | None = None) -> None:
        self.budget: float | None = None  # CPU seconds that all of it may take, this process too (None: without end)
        self._seconds = seconds  # CPU seconds that one may take for one request
        self._spawner = spawner
        self._running: dict[str, Remote] = {}
        self._ended_seconds = 0.0  # of processes that have ended

    def get(self, name: str) -> Remote:
        """The process of that name. Raises `CandidateDied` where the budget is spent."""
        if self.exhausted:
            raise CandidateDied(f"all of it took over {self.budget:.0f} s of CPU time")
        if name not in self._running:
            self._running[name] = Remote(self._spawner, None, seconds=self._seconds)
        return self._running[name]

    @property
    def exhausted(self) -> bool:
        """Whether the budget of CPU time is spent, by this process or by the candidate's."""
        if self.budget is None:
            return False
        running = sum(cpu_seconds_of(remote.process.pid) for remote in self._running.values())
        return time.process_time() + self._ended_seconds + running > self.budget

    def end(self, name: str) -> float:
        """End a process; the CPU seconds that it took, as the system counted them."""
        remote = self._running.pop(name, None)
        if remote is None:
            return 0.0
        remote.end()
        self._ended_seconds += remote.cpu_seconds
        return remote.cpu_seconds

    def close(self) -> None:
        """End every process."""
        for name in list(self._running):
            self.end(name)
