"""What the job loop needs of whatever holds a job: a container (`container`), or namespaces (`process/namespaces`)."""

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

    def take(self, limits: Spec) -> WaitingChild:
        """A fresh root and a child, with these limits on both."""
        ...

    def give(self, folder: Path) -> None:
        """Let the job own everything below `folder`."""
        ...

    def watch(self) -> str | None:
        """Asked every 50 ms; "memory" ends the job."""
        ...

    def sweep(self, child: WaitingChild) -> tuple[int, Any]:
        """Kill whatever is left, the program included, and give its wait status and resource usage."""
        ...

    def usage(self) -> Spec:
        """out_of_memory, and where the kernel counts it for all processes: cpu_seconds, peak_memory_bytes."""
        ...

    def clear(self) -> None:
        """Remove every trace of the job, and get ready for the next one."""
        ...

    def idle(self, reader: int) -> None:
        """Between jobs; to be left as soon as `reader` is readable."""
        ...
