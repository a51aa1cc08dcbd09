"""Protocols between the job loop and what holds a job: a container (`container.py`) or namespaces (`process/`)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Protocol

from move37.sandbox.worker.wire import Spec


class WaitingChild(Protocol):
    """A child that waits for its job. `wake` becomes readable when it may have ended."""

    control: socket.socket  # takes the spec, gives back why the program could not start
    stdout: int
    stderr: int
    wake: int

    def poll(self) -> tuple[int, Any] | None:
        """Wait status and resource usage, once the child has ended."""
        ...


class Isolation(Protocol):
    """What holds a job: a container, or namespaces."""

    root: Path  # holds work/ (the job's cwd), out/, tmp/, home/
    user: int | None  # of the job that is being served; None where it has none of its own

    def prepare(self, limits: Spec) -> WaitingChild:
        """A fresh root and a child, with these limits on both."""
        ...

    def watch(self) -> str | None:
        """Asked every 50 ms; "memory" ends the job."""
        ...

    def kill_all(self, child: WaitingChild) -> tuple[int, Any]:
        """Kill whatever is left, the program included, and give its wait status and resource usage."""
        ...

    def usage(self) -> Spec:
        """Of all processes of the job, as far as the kernel counts: out_of_memory, cpu_seconds, peak_memory_bytes."""
        ...

    def clean(self) -> None:
        """Remove every trace of the job, and get ready for the next one. Raises `Leftover` when one stayed."""
        ...

    def idle(self, reader: int) -> None:
        """Between jobs; to be left as soon as `reader` is readable."""
        ...
