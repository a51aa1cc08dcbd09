"""How a container holds a job: PID 1 forks it, gives it a user of its own, and afterwards kills every other process.

PID 1 is another user than any job (`identity`). What a job left is removed with the job's own rights and then looked
for: if anything stayed, PID 1 ends, and the container with it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from pathlib import Path
from typing import Any

from move37.sandbox.worker import child as job_child
from move37.sandbox.worker import identity, landlock, syscalls
from move37.sandbox.worker.accounting import Accounting, container_counters, socket_bytes
from move37.sandbox.worker.cleaning import empty, verify_empty
from move37.sandbox.worker.huge_pages import HugePages
from move37.sandbox.worker.isolation_protocol import WaitingChild
from move37.sandbox.worker.warm_up import compiler_is_due, import_compiler
from move37.sandbox.worker.wire import Spec

QUIET_SECONDS = 0.25  # without a job before a worker imports the compiler and tidies its memory
COMPILER_AFTER = 2  # jobs without a quiet moment; a container that is used once never pays
OWN_FOLDERS = ("out", "tmp", "home")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "fuse")


class ForkedChild:
    """A child forked ahead, in whatever this process is confined to."""

    def __init__(self, wake: int) -> None:
        self.control, theirs = socket.socketpair()
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        self.wake = wake
        self.pid = os.fork()
        if self.pid == 0:
            job_child.become_job(theirs.fileno(), stdout, stderr, enter=lambda: None, confine=confine)
        theirs.close()
        os.close(stdout)
        os.close(stderr)
        self.ended: tuple[int, Any] | None = None

    def poll(self) -> tuple[int, Any] | None:
        """Reaps orphans on the way: a zombie counts as a process of the job."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, 4096)
        while self.ended is None and self.reap(os.WNOHANG):
            pass
        return self.ended

    def reap(self, flags: int) -> bool:
        """Take in one end, of whomever; False when there is none to be had."""
        try:
            pid, status, usage = os.wait4(-1, flags)
        except ChildProcessError:
            return False
        if pid == self.pid:
            self.ended = status, usage
        return pid != 0

    def abandon(self) -> None:
        """End a child that no job came for."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.control.close()
        os.close(self.stdout)
        os.close(self.stderr)


def confine(spec: Spec) -> None:
    """In the child, with the job's files in place: its own user, no rights, and a few folders to write in."""
    if spec["user"] is not None:
        identity.become(spec["user"])
        syscalls.drop_capabilities()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if landlock.abi():
        root = spec["root"]
        devices = [f"/dev/{name}" for name in DEVICES] + [str(path) for path in Path("/dev").glob("nvidia*")]
        writable = [f"{root}/{name}" for name in ("work", *OWN_FOLDERS)]
        landlock.restrict(["/"], [*writable, "/tmp", "/dev/shm", *devices], loopback=True)


class ContainerIsolation:
    """One job at a time inside a container that is ours alone."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.root = scratch / "job"
        self.wake, write = os.pipe()
        for descriptor in (self.wake, write):
            os.set_blocking(descriptor, False)
        # A handler, so that select wakes up; a forged SIGCHLD costs one turn of the loop and nothing else.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self._users = identity.users_here() if is_supervisor() else None
        self.user: int | None = None
        self._accounting = Accounting(container_counters())
        self._own_cpu = 0.0
        self._memory_bytes = 0
        self.spare: ForkedChild | None = None
        self.huge_pages = HugePages()
        self._jobs = 0
        self.clean()

    def prepare(self, limits: Spec) -> ForkedChild:
        child, self.spare = self.spare or ForkedChild(self.wake), None
        self._jobs += 1
        self._memory_bytes = int(limits["memory_bytes"])
        self._accounting.begin()
        self._own_cpu = time.process_time()
        return child

    def watch(self) -> str | None:
        held = self._accounting.sample()
        if (waiting := socket_bytes(Path("/proc/self/net"))) and held + waiting > self._memory_bytes:
            return "memory"
        return None

    def kill_all(self, child: WaitingChild) -> tuple[int, Any]:
        assert isinstance(child, ForkedChild)
        if os.getpid() == 1:
            while True:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)
                if not child.reap(0):
                    break
        else:  # by hand, outside a container: only what stayed in the job's own session
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            while child.ended is None and child.reap(0):
                pass
        assert child.ended is not None
        return child.ended

    def usage(self) -> Spec:
        return self._accounting.usage(own_cpu_seconds=time.process_time() - self._own_cpu)

    def clean(self) -> None:
        self._remove_traces()
        if self._jobs >= COMPILER_AFTER and compiler_is_due():
            self._take_in_compiler()
        self._make_folders()
        self.huge_pages.a_little()
        self.spare = ForkedChild(self.wake)

    def _remove_traces(self) -> None:
        own = [str(self.root / name) for name in ("work", *OWN_FOLDERS)]
        shared = sorted({"/tmp", "/dev/shm", str(self.scratch)}) if os.getpid() == 1 else [str(self.root)]
        # First with the rights of the job, which alone may open what it closed, then what is the supervisor's.
        for user in dict.fromkeys((self.user, None)):
            with identity.acting_as(user):
                for folder in (*own, *shared):
                    empty(folder)
        verify_empty(shared)

    def _take_in_compiler(self) -> None:
        """Where no folder of a job stands: it makes that of its cache in one."""
        import_compiler()
        self._remove_traces()

    def _make_folders(self) -> None:
        self.user = next(self._users) if self._users is not None else None
        self.root.mkdir(exist_ok=os.getpid() != 1)
        identity.make_folders(self.root, OWN_FOLDERS, self.user)

    def idle(self, reader: int) -> None:
        if (self.huge_pages.done() and not compiler_is_due()) or readable(reader, QUIET_SECONDS):
            return
        # The child lacks the compiler, and shares the small pages: with it they would stand beside the huge ones.
        if self.spare is not None:
            self.spare.abandon()
            self.spare = None
        if compiler_is_due():
            self._remove_traces()
            self._take_in_compiler()
            self._make_folders()
        while not self.huge_pages.done() and not readable(reader, 0):
            self.huge_pages.some(1)
        self.spare = ForkedChild(self.wake)


def is_supervisor() -> bool:
    """Whether this process may give its children other users."""
    return syscalls.LINUX and syscalls.has_capability(identity.CAP_SETUID)


def readable(descriptor: int, seconds: float) -> bool:
    """Whether it is, or becomes so in time."""
    return bool(select.select([descriptor], [], [], seconds)[0])
