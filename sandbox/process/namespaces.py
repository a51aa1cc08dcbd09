"""The supervisor's side of a job: fresh namespaces with an init of their own, and a child in them.

The supervisor is small, never imports torch, and is the only process that sees the host's channel; the zygote is large
and only forks. So what one candidate sent or produced is never in the memory that the next one is forked from.

    init    fork of the supervisor: PID 1 of fresh pid, mount, net, ipc, uts and cgroup namespaces; all die with it
    child   fork of the zygote into those namespaces; waits for its job, ahead of time

Both are ready before the job arrives: namespaces and the fork cost nothing on its way. Standard library only.
Where there are no namespaces the zygote kills its own descendants.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
from pathlib import Path
from typing import Any, NamedTuple

from move37.sandbox.process import syscalls
from move37.sandbox.process.cgroups import Cgroup
from move37.sandbox.process.host_support import NOBODY, HostSupport
from move37.sandbox.process.syscalls import SPACES
from move37.sandbox.worker.cleaning import empty
from move37.sandbox.worker.isolation import WaitingChild
from move37.sandbox.worker.wire import Gone

Spec = dict[str, Any]

NAMES = ("pid", "mnt", "net", "ipc", "uts", "cgroup")
OWN_FOLDERS = ("out", "tmp", "home", "shm")
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
MAX_INODES = 65536
MAX_MESSAGE = 4096


class Usage(NamedTuple):
    """The part of a resource usage that travels between zygote and supervisor."""

    ru_utime: float
    ru_stime: float
    ru_maxrss: int  # KiB


class JobNamespaces(NamedTuple):
    """An init, and open descriptors of its namespaces, the pid namespace first."""

    pid: int
    descriptors: list[int]


class NamespacedChild:
    """A child in namespaces of a job, or beside the zygote where there are no namespaces."""

    def __init__(self, zygote: socket.socket, namespaces: JobNamespaces | None) -> None:
        self.zygote = zygote
        self.wake = zygote.fileno()
        self.control, control = socket.socketpair()
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        descriptors = [control.fileno(), stdout, stderr, *(namespaces.descriptors if namespaces else ())]
        socket.send_fds(zygote, [b"fork"], descriptors)
        control.close()
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        self.pid = int(self._hear(wait=True)["forked"])
        self._ended: tuple[int, Usage] | None = None

    def _hear(self, *, wait: bool) -> Spec:
        try:
            data = self.zygote.recv(MAX_MESSAGE, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return {}
        if not data:
            raise Gone
        message: Spec = json.loads(data)
        return message

    def poll(self, *, wait: bool = False) -> tuple[int, Usage] | None:
        if self._ended is None and (message := self._hear(wait=wait)):
            self._ended = message["status"], Usage(*message["usage"])
        return self._ended


class NamespaceIsolation:
    """The `Isolation` of the process backend."""

    def __init__(self, zygote: socket.socket, zygote_pid: int, support: HostSupport, group: Cgroup, root: Path) -> None:
        self.zygote, self.zygote_pid = zygote, zygote_pid
        self.support, self.group, self.root = support, group, root
        self.own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY) if support.spaces else -1
        self.namespaces: JobNamespaces | None = None
        self.memory_bytes = 0
        self.spare: NamespacedChild | None = None
        self.clear()

    def take(self, limits: Spec) -> NamespacedChild:
        child, self.spare = self.spare, None
        assert child is not None
        self.memory_bytes = int(limits["memory_bytes"])
        self.group.limit(memory_bytes=self.memory_bytes, pids=int(limits["pids"]), cores=max(1, limits["threads"]))
        if not self.group.counts_memory:
            limits["data_bytes"] = self.memory_bytes
        if not self.group.counts_processes and self.support.spaces:
            limits["processes"] = int(limits["pids"]) + 8  # ourselves among them: one user, one namespace
        if self.support.spaces:
            size = int(limits["disk_bytes"]) + int(limits["input_bytes"])
            options = f"size={size},nr_inodes={MAX_INODES}"
            syscalls.mount("none", str(self.root), None, syscalls.MS_REMOUNT | syscalls.MS_NOSUID, options)
        return child

    def give(self, folder: Path) -> None:
        if self.support.change_user:
            for path, _, names in os.walk(folder):
                for name in ("", *names):
                    os.chown(os.path.join(path, name), NOBODY, NOBODY)

    def watch(self) -> str | None:
        if self.group.counts_memory or not self.support.spaces:
            return None
        outsiders = {os.getpid(), self.zygote_pid, self.namespaces.pid if self.namespaces else 0}
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in outsiders]
        if sum(map(resident, pids)) > self.memory_bytes and sum(map(private, pids)) > self.memory_bytes:
            return "memory"
        return None

    def sweep(self, child: WaitingChild) -> tuple[int, Any]:
        assert isinstance(child, NamespacedChild)
        if self.namespaces:
            # The kernel kills everybody in the namespaces, and init is gone only when all of them are.
            os.kill(self.namespaces.pid, signal.SIGKILL)
        else:
            self.zygote.send(b"sweep")
        ended = child.poll(wait=True)
        if self.namespaces:
            os.waitpid(self.namespaces.pid, 0)
            self.namespaces = None
        assert ended is not None
        return ended

    def usage(self) -> Spec:
        return self.group.usage()

    def idle(self, reader: int) -> None:
        """The zygote tidies its memory before it forks."""

    def clear(self) -> None:
        if self.support.spaces:
            with contextlib.suppress(OSError):
                syscalls.umount(str(self.root), syscalls.MNT_DETACH)
            mount_job(self.root)
        else:
            empty(str(self.root))
        (self.root / "work").mkdir(exist_ok=True)
        (self.root / "work").chmod(0o1777)
        for name in OWN_FOLDERS:
            (self.root / name).mkdir(exist_ok=True)
            if self.support.change_user:
                os.chown(self.root / name, NOBODY, NOBODY)
        if self.support.spaces:
            self.namespaces = self._make_namespaces()
        self.spare = NamespacedChild(self.zygote, self.namespaces)
        self.group.admit(self.spare.pid)

    def _make_namespaces(self) -> JobNamespaces:
        """An init in fresh namespaces, once they stand. Raises `OSError`."""
        ours, theirs = socket.socketpair()
        # A process may make only one pid namespace for its children, unless it first goes back to its own.
        syscalls.setns(self.own_pids, syscalls.CLONE_NEWPID)
        syscalls.unshare(syscalls.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            try:
                furnish(self.root)
                # Its own process may open them; to us, as an ordinary user, the kernel would refuse it.
                socket.send_fds(theirs, [b"1"], [os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in NAMES])
                keep_house()
            finally:
                os._exit(1)
        theirs.close()
        with ours:
            good, spaces, _, _ = socket.recv_fds(ours, 1, len(NAMES))
        if not good:
            raise OSError("namespaces of a job could not be made")
        return JobNamespaces(pid, spaces)


def mount_job(root: Path) -> None:
    """The folder of a job: memory that ends with it. Its size is set when the job arrives."""
    syscalls.mount("job", str(root), "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")


def furnish(root: Path) -> None:
    """In the init of namespaces of a job: its namespaces, its /proc, its shared memory, its loopback device."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    syscalls.unshare(SPACES)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", "/proc", "proc", flags)
    syscalls.mount(str(root / "shm"), "/dev/shm", None, syscalls.MS_BIND)
    socket.sethostname("sandbox")
    with contextlib.suppress(OSError), socket.socket() as probe:
        request = struct.pack("16sh14x", b"lo", IFF_UP)
        fcntl.ioctl(probe, SIOCSIFFLAGS, request)


def keep_house() -> None:
    """Reap whoever is orphaned, with no rights left and nothing open, until we are killed."""
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))
    signal.set_wakeup_fd(-1)
    # Blocked and fetched: a handler would make this process killable from inside.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    syscalls.drop_capabilities()
    while True:
        signal.sigwait({signal.SIGCHLD})
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def resident(pid: int) -> int:
    """Bytes of memory that a process holds, shared ones included; 0 when it is gone."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def private(pid: int) -> int:
    """Bytes that nobody else holds: what a fork of the zygote has touched itself."""
    total = 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Private_"):
                total += int(line.split()[1]) * 1024
    return total
