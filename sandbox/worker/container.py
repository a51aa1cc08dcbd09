"""How a container holds a job: PID 1 forks it, and afterwards kills everybody else."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from pathlib import Path
from typing import Any

from move37.sandbox.worker import child as job_child
from move37.sandbox.worker.cleaning import empty
from move37.sandbox.worker.huge_pages import HugePages
from move37.sandbox.worker.isolation import WaitingChild
from move37.sandbox.worker.wire import Spec

QUIET_SECONDS = 0.25  # without a job before a worker tidies its memory


class ForkedChild:
    """A child forked ahead, in whatever this process is confined to."""

    def __init__(self, wake: int) -> None:
        self.control, theirs = socket.socketpair()
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        self.wake = wake
        self.pid = os.fork()
        if self.pid == 0:
            job_child.become_job(theirs.fileno(), stdout, stderr, enter=lambda: None, confine=lambda spec: None)
        theirs.close()
        os.close(stdout)
        os.close(stderr)
        self._ended: tuple[int, Any] | None = None

    def poll(self, flags: int = os.WNOHANG) -> tuple[int, Any] | None:
        if self._ended is None:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake, 4096)
            pid, status, usage = os.wait4(self.pid, flags)
            if pid:
                self._ended = status, usage
        return self._ended

    def abandon(self) -> None:
        """End a child that no job came for."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.control.close()
        os.close(self.stdout)
        os.close(self.stderr)


class ContainerIsolation:
    """One job at a time inside a container that is ours alone: PID 1 forks, and afterwards kills everybody else."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.root = scratch / "job"
        self.wake, write = os.pipe()
        for descriptor in (self.wake, write):
            os.set_blocking(descriptor, False)
        # A handler, so that select wakes up; a forged SIGCHLD costs one turn of the loop and nothing else.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self.memory = ContainerMemory()
        self.spare: ForkedChild | None = None
        self.huge_pages = HugePages()
        self.clear()

    def take(self, limits: Spec) -> ForkedChild:
        child, self.spare = self.spare or ForkedChild(self.wake), None
        return child

    def give(self, folder: Path) -> None:
        """They share one user already."""

    def watch(self) -> str | None:
        return None

    def sweep(self, child: WaitingChild) -> tuple[int, Any]:
        assert isinstance(child, ForkedChild)
        if os.getpid() == 1:
            while True:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)
                child.poll()
                try:
                    pid, status, usage = os.wait4(-1, 0)
                except ChildProcessError:
                    break
                if pid == child.pid:
                    child._ended = status, usage
        else:  # by hand, outside a container: only what stayed in the job's own session
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        ended = child.poll(0)
        assert ended is not None
        return ended

    def usage(self) -> Spec:
        return self.memory.usage()

    def clear(self) -> None:
        empty(str(self.root))
        for shared in {"/tmp", "/dev/shm", str(self.scratch)} if os.getpid() == 1 else set():
            empty(shared)
        for name in ("work", "out", "tmp", "home"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.huge_pages.a_little()
        self.spare = ForkedChild(self.wake)

    def idle(self, reader: int) -> None:
        if self.huge_pages.done() or readable(reader, QUIET_SECONDS):
            return
        # The child shares the small pages: with it they would stand beside the huge ones.
        if self.spare is not None:
            self.spare.abandon()
            self.spare = None
        while not self.huge_pages.done() and not readable(reader, 0):
            self.huge_pages.some(1)
        self.spare = ForkedChild(self.wake)


def readable(descriptor: int, seconds: float) -> bool:
    """Whether it is, or becomes so in time."""
    return bool(select.select([descriptor], [], [], seconds)[0])


class ContainerMemory:
    """Whether the kernel killed for memory, as the container's own cgroup says; silent where it is not mounted."""

    FILES = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")

    def __init__(self) -> None:
        self._file = next((name for name in self.FILES if os.path.exists(name)), None)
        self.before = self._kills()

    def _kills(self) -> int:
        if self._file is not None:
            with contextlib.suppress(OSError), open(self._file) as stream:
                words = stream.read().split()
                return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0
        return 0

    def usage(self) -> Spec:
        """Since the job before: between two jobs nothing runs that could be killed."""
        before, self.before = self.before, self._kills()
        return {"out_of_memory": self.before > before}
