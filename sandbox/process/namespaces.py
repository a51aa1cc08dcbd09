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

from move37.sandbox.process import rootfs
from move37.sandbox.process.cgroups import Cgroup
from move37.sandbox.process.host_support import HostSupport
from move37.sandbox.process.sampling import OWN, WAITED_FOR, Samples, processor_seconds
from move37.sandbox.worker import identity, syscalls
from move37.sandbox.worker.accounting import Accounting, socket_bytes
from move37.sandbox.worker.cleaning import empty, verify_empty
from move37.sandbox.worker.isolation_protocol import WaitingChild
from move37.sandbox.worker.syscalls import SPACES
from move37.sandbox.worker.wire import Gone

Spec = dict[str, Any]

NAMES = ("pid", "mnt", "net", "ipc", "uts", "cgroup")
OWN_FOLDERS = ("out", "tmp", "home", "shm")
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
MAX_INODES = 65536
# Without times of access: they would tell one of a candidate's processes what another has read.
MOUNT_FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOATIME
MAX_MESSAGE = 4096


class JobUsage(NamedTuple):
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
        self._ended: tuple[int, JobUsage] | None = None

    def _hear(self, *, wait: bool) -> Spec:
        try:
            data = self.zygote.recv(MAX_MESSAGE, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return {}
        if not data:
            raise Gone
        message: Spec = json.loads(data)
        return message

    def poll(self) -> tuple[int, JobUsage] | None:
        if self._ended is None:
            self._take_in(self._hear(wait=False))
        return self._ended

    def _take_in(self, message: Spec) -> None:
        if "status" in message:
            self._ended = message["status"], JobUsage(*message["usage"])

    def wait(self) -> tuple[int, JobUsage]:
        """Until it has ended."""
        while self._ended is None:
            self._take_in(self._hear(wait=True))
        return self._ended

    def wait_for_all(self) -> tuple[tuple[int, JobUsage], float]:
        """Have it and all that it started killed; its end, and the processor seconds of the others."""
        self.zygote.send(b"sweep")
        while "swept" not in (message := self._hear(wait=True)):
            self._take_in(message)
        return self.wait(), float(message["swept"])


class NamespaceIsolation:
    """The `Isolation` of the process backend."""

    def __init__(self, zygote: socket.socket, zygote_pid: int, support: HostSupport, group: Cgroup, root: Path) -> None:
        self.zygote, self.zygote_pid = zygote, zygote_pid
        self.support, self.group, self.root = support, group, root
        self.own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY) if support.spaces else -1
        self.namespaces: JobNamespaces | None = None
        self.memory_bytes = 0
        self.spare: NamespacedChild | None = None
        self.user: int | None = None
        self._users = identity.users_here() if support.change_user else None
        self._accounting = Accounting(group.counters)
        self._ended: JobUsage | None = None
        self._beside = 0.0  # processor seconds of what the job started, where no group counts
        self._samples = Samples(zygote_pid)
        self.clean()

    def prepare(self, limits: Spec) -> NamespacedChild:
        child, self.spare = self.spare, None
        assert child is not None
        self.memory_bytes = int(limits["memory_bytes"])
        self.group.limit(memory_bytes=self.memory_bytes, pids=int(limits["pids"]), cores=max(1, limits["threads"]))
        self._accounting.begin()
        self._beside, self._samples = 0.0, Samples(self.zygote_pid)
        if not self.group.counts_memory:
            limits["data_bytes"] = self.memory_bytes
        if not self.group.counts_processes and self.support.spaces:
            limits["processes"] = int(limits["pids"]) + 8  # ourselves among them: one user, one namespace
        if self.support.spaces:
            size = int(limits["disk_bytes"]) + int(limits["input_bytes"])
            for path, most in ((self.root, size), (self.root / "shm", self.memory_bytes)):
                options = f"size={most},nr_inodes={MAX_INODES}"
                syscalls.mount("none", str(path), None, syscalls.MS_REMOUNT | MOUNT_FLAGS, options)
        return child

    def watch(self) -> str | None:
        if not self.support.spaces:
            return None
        if not (self.group.counts_memory and self._cpu_is_counted()):
            self._samples.look(self._pids())
        held = self._accounting.sample() if self.group.counts_memory else self._samples.most_bytes
        waiting = 0
        if self.group.version == 1 and self.namespaces is not None:
            # What the job's sockets hold counts as its memory; this version's limit does not know of them.
            waiting = socket_bytes(Path(f"/proc/{self.namespaces.pid}/net"))
        return "memory" if held + waiting > self.memory_bytes else None

    def _cpu_is_counted(self) -> bool:
        return self.group.counters.cpu_seconds() is not None

    def _pids(self) -> list[int]:
        outsiders = {os.getpid(), self.zygote_pid, self.namespaces.pid if self.namespaces else 0}
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in outsiders]

    def kill_all(self, child: WaitingChild) -> tuple[int, Any]:
        assert isinstance(child, NamespacedChild)
        if self.namespaces:
            if not self._cpu_is_counted():
                pids = self._pids()
                self._samples.look(pids)
                # Processes that still run, and those that the init has reaped; the job's first process reports its own.
                others = [*(pid for pid in pids if pid != child.pid), self.namespaces.pid]
                self._beside = sum(processor_seconds(pid, OWN, WAITED_FOR) for pid in others)
            # The kernel kills every process in the namespaces; init ends only when all of them have.
            os.kill(self.namespaces.pid, signal.SIGKILL)
            ended = child.wait()
            os.waitpid(self.namespaces.pid, 0)
            self.namespaces = None
        else:
            ended, self._beside = child.wait_for_all()
        self._ended = ended[1]
        return ended

    def usage(self) -> Spec:
        found = self._accounting.usage()
        if "cpu_seconds" not in found and self._ended is not None:
            waited_for = self._ended.ru_utime + self._ended.ru_stime + self._beside
            found["cpu_seconds"] = max(waited_for, self._samples.cpu_seconds)
        if "peak_memory_bytes" not in found and self._samples.most_bytes:
            found["peak_memory_bytes"] = self._samples.most_bytes
        return found

    def idle(self, reader: int) -> None:
        """Nothing: the zygote collects its memory before it forks."""

    def clean(self) -> None:
        if self.support.spaces:
            with contextlib.suppress(OSError):
                syscalls.umount(str(self.root), syscalls.MNT_DETACH)
            mount_job(self.root)
        else:
            for user in dict.fromkeys((self.user, None)):
                with identity.acting_as(user):
                    for name in ("work", *OWN_FOLDERS):
                        empty(str(self.root / name))
            empty(str(self.root))
        verify_empty([str(self.root)])
        self.user = next(self._users) if self._users is not None else None
        identity.make_folders(self.root, OWN_FOLDERS, self.user)
        if self.support.spaces:
            owner = "" if self.user is None else f",uid={self.user},gid={self.user}"
            syscalls.mount("shm", str(self.root / "shm"), "tmpfs", MOUNT_FLAGS, f"mode=1777{owner}")
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
                set_up(self.root)
                # Its own process may open them; to us, as an ordinary user, the kernel would refuse it.
                socket.send_fds(theirs, [b"1"], [os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in NAMES])
                reap_orphans()
            except OSError as error:
                theirs.send(f"{error.strerror or error}".encode())
            finally:
                os._exit(1)
        theirs.close()
        with ours:
            answer, spaces, _, _ = socket.recv_fds(ours, MAX_MESSAGE, len(NAMES))
        if not spaces:
            why = answer.decode("utf-8", "replace") or "their first process ended"
            raise OSError(f"namespaces of a job could not be made ({why})")
        return JobNamespaces(pid, spaces)


def mount_job(root: Path) -> None:
    """The folder of a job: memory that ends with it. Its size is set when the job arrives."""
    syscalls.mount("job", str(root), "tmpfs", MOUNT_FLAGS, "mode=755")


def set_up(root: Path) -> None:
    """In the init of namespaces of a job: its namespaces, its /proc, its shared memory, its loopback device."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    syscalls.unshare(SPACES)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("proc", "/proc", "proc", flags)
    for path in rootfs.MASKED_FILES:
        if os.path.exists(path):
            syscalls.mount("/dev/null", path, None, syscalls.MS_BIND)
    for path in rootfs.MASKED_FOLDERS:
        if os.path.isdir(path):
            syscalls.mount("none", path, "tmpfs", flags | syscalls.MS_RDONLY, "size=4k,mode=555")
    rootfs.cover("/dev/shm", str(root / "shm"))
    rootfs.cover("/tmp", str(root / "tmp"))
    socket.sethostname("sandbox")
    with contextlib.suppress(OSError), socket.socket() as probe:
        request = struct.pack("16sh14x", b"lo", IFF_UP)
        fcntl.ioctl(probe, SIOCSIFFLAGS, request)


def reap_orphans() -> None:
    """Reap orphans, with no capabilities and no open descriptors, until we are killed."""
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
