"""What `ProcessSandbox` starts: `python sandbox/process/zygote.py CONFIG`, one for each job at a time.

    launcher   the process that the host knows. Sees the host's files, makes the cgroup and a folder to mount on,
               removes both at the end, also when the host is killed (it then gets SIGTERM from the kernel)
     '- keeper   PID 1 of a pid namespace: its death takes everything with it. Speaks with the host, holds the rooms
         |- zygote   torch imported; forks, reaps, and never sees a job
         '- init     of the room of the next job (rooms.py)

Each dies with its parent. Where namespaces are not allowed keeper and zygote are ordinary children, the zygote is the
reaper of all its descendants and kills them. Needs the standard library, torch if there is torch, pyseccomp if there
is libseccomp.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

sys.path[0] = str(Path(__file__).absolute().parents[3])  # the links of a checkout stay as they are

from move37.sandbox.image import program, worker  # noqa: E402
from move37.sandbox.process import confine, landlock, refusals, rooms, syscalls, view  # noqa: E402
from move37.sandbox.process.cgroups import Cgroup  # noqa: E402
from move37.sandbox.process.confine import NOBODY, Terms  # noqa: E402

LINUX = sys.platform == "linux"
ALL_SPACES = rooms.SPACES | syscalls.CLONE_NEWPID
JOB_NICENESS = 5  # while every core trains, the campaign's own few milliseconds go first


def main() -> NoReturn:
    config = json.loads(sys.argv[1])
    wire = worker.take_channel()
    if LINUX:
        syscalls.die_with_parent(signal.SIGTERM)
    scratch = tempfile.mkdtemp(prefix=f"move37-zygote-{os.getpid()}-")
    os.chmod(scratch, 0o711)
    group = Cgroup({}, 1)
    status = 1
    try:
        reasons: dict[str, str] = {}
        if LINUX and config["cgroups"]:
            group, reason = Cgroup.make(f"{os.getpid()}-zygote")
            reasons["cgroup"] = reason
        terms = decide(group, reasons, namespaces=config["namespaces"])
        status = launch(wire, terms, group, scratch, warm=config["warm"])
    finally:
        group.remove()
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(status)


def decide(group: Cgroup, reasons: dict[str, str], *, namespaces: bool) -> Terms:
    """What can be put up here, found by trying."""
    if not LINUX:
        reasons |= dict.fromkeys(("namespaces", "landlock", "seccomp", "cgroup"), "only Linux has it")
        return Terms(reasons=reasons)
    spaces = ""
    if not namespaces:
        reasons["namespaces"] = "switched off"
    else:
        for kind in ("root", "user") if os.geteuid() == 0 else ("user",):
            if (problem := try_spaces(kind)) is None:
                spaces = kind
                break
            reasons["namespaces"] = problem
    compiled = b""
    try:
        compiled = refusals.compile_filter(sockets=bool(spaces))
    except OSError as error:
        reasons["seccomp"] = error.strerror or str(error)
    version = landlock.abi()
    if not version:
        reasons["landlock"] = "this kernel has no Landlock (Linux 5.13, lsm=landlock)"
    return Terms(
        spaces=spaces,
        change_user=os.geteuid() == 0 and spaces != "user" and (spaces == "root" or open_to_all(reasons)),
        landlock=version,
        filter=compiled,
        memory_group=group.counts_memory,
        process_group=group.counts_processes,
        reasons=reasons,
    )


def open_to_all(reasons: dict[str, str]) -> bool:
    """Whether nobody could still read this interpreter where there is no view to show it in."""
    for folder in view.interpreter_folders():
        for parent in (folder, *folder.parents):
            if not parent.stat().st_mode & 0o001:
                reasons["user"] = f"nobody may enter {parent}, so the job stays root without capabilities"
                return False
    return True


def try_spaces(kind: str) -> str | None:
    """Make every namespace once in a child, and mount in it; the reason why that failed, or None."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if kind == "user":
                enter_user_namespace()
            syscalls.unshare(ALL_SPACES)
            syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
            syscalls.mount("none", "/", "tmpfs", syscalls.MS_RDONLY, "size=4k")
        except OSError as error:
            os.write(writer, (error.strerror or "refused").encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        problem = stream.read()
    os.waitpid(pid, 0)
    return problem or None


def enter_user_namespace() -> None:
    """Every capability, but only over what we make ourselves; we are called nobody in it."""
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")


def launch(wire: worker.Wire, terms: Terms, group: Cgroup, scratch: str, *, warm: bool) -> int:
    """Start the keeper and outlive it."""
    if terms.spaces == "user":
        enter_user_namespace()
    if terms.spaces:
        syscalls.unshare(syscalls.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        try:
            keep(wire, terms, group, scratch, warm=warm)
            os._exit(0)
        except worker.Gone:
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGKILL))
    os.close(wire.reader)
    os.close(wire.writer)
    status = os.waitpid(pid, 0)[1]
    return 0 if status == 0 else 1


def keep(wire: worker.Wire, terms: Terms, group: Cgroup, scratch: str, *, warm: bool) -> None:
    """The keeper."""
    root = Path(scratch, "job")
    if LINUX:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
    if terms.spaces:
        syscalls.unshare(rooms.SPACES)
        view.build(scratch, uid=os.getuid(), gid=os.getgid())
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
        view.leave_old_root()
        root = Path(view.JOB)
        rooms.mount_job(root)
    else:
        root.mkdir()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET if LINUX else socket.SOCK_DGRAM)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            os.close(wire.reader)
            os.close(wire.writer)
            Zygote(theirs, terms, root).run(warm=warm)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    theirs.close()
    worker.hide()
    greeting = json.loads(ours.recv(rooms.MAX_MESSAGE) or b"null")
    if greeting is None:
        raise worker.Gone
    cage = rooms.Rooms(ours, pid, terms, group, root)
    report = {
        "spaces": terms.spaces,
        "change_user": terms.change_user,
        "landlock": terms.landlock,
        "seccomp": refusals.instructions(terms.filter),
        "memory_group": terms.memory_group,
        "process_group": terms.process_group,
        "cgroup_version": group.version,
        "reasons": terms.reasons,
    }
    wire.tell(b"R", **greeting, report=report)
    worker.serve(wire, cage)


class Zygote:
    """Forks on command, reaps, and reports."""

    def __init__(self, keeper: socket.socket, terms: Terms, root: Path) -> None:
        self.keeper, self.terms, self.root = keeper, terms, root
        self.seat = 0
        self.hurry = worker.Collapse()

    def run(self, *, warm: bool) -> None:
        if LINUX:
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        worker.hide()
        forget_ourselves()
        greeting = worker.warm(self.root, everything=warm)
        wake, write = os.pipe()
        for descriptor in (wake, write):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self.keeper.send(json.dumps(greeting).encode())
        poller = select.poll()
        poller.register(self.keeper, select.POLLIN)
        poller.register(wake, select.POLLIN)
        while True:
            for descriptor, _ in poller.poll():
                if descriptor == wake:
                    os.read(wake, 4096)
                    self.reap()
                else:
                    self.obey()

    def obey(self) -> None:
        command, descriptors, _, _ = socket.recv_fds(self.keeper, 16, 3 + len(rooms.NAMES))
        if not command:
            os._exit(0)
        if command == b"fork":
            self.hurry.a_little()
            self.fork(descriptors)
        elif command == b"sweep":
            self.sweep()

    def fork(self, descriptors: list[int]) -> None:
        control, stdout, stderr, *room = descriptors
        if room:
            syscalls.setns(room[0], syscalls.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            os.nice(JOB_NICENESS)
            program.take_seat(
                control,
                stdout,
                stderr,
                enter=lambda: enter_room(room),
                confine=lambda spec: confine.confine(self.terms, spec),
            )
        for descriptor in descriptors:
            os.close(descriptor)
        self.seat = pid
        self.keeper.send(json.dumps({"forked": pid}).encode())

    def reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return
                self.report(pid, status, usage)

    def report(self, pid: int, status: int, usage: Any) -> None:
        if pid == self.seat:
            self.seat = 0
            figures = [usage.ru_utime, usage.ru_stime, usage.ru_maxrss]
            self.keeper.send(json.dumps({"status": status, "usage": figures}).encode())

    def sweep(self) -> None:
        """Without a room: kill all descendants. Orphans have become our children, so a few rounds find everybody."""
        while True:
            for pid in descendants() if LINUX else [self.seat]:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if pid and not LINUX:
                        os.killpg(pid, signal.SIGKILL)
                    elif pid:
                        os.kill(pid, signal.SIGKILL)
            try:
                pid, status, usage = os.wait4(-1, 0)
            except ChildProcessError:
                return
            self.report(pid, status, usage)


def enter_room(room: list[int]) -> None:
    """All of its namespaces but the first, which a child is born in."""
    for space in room[1:]:
        syscalls.setns(space, 0)


def descendants() -> list[int]:
    """Processes below this one, from /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found, waiting = [], [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def forget_ourselves() -> None:
    """A job must not import this project by accident: what it needs of it travels with it."""
    own = sys.path.pop(0)
    sys.path[:] = [path for path in sys.path if path != own]
    sys.path_hooks[:] = [hook for hook in sys.path_hooks if "__editable__" not in getattr(hook, "__module__", "")]
    sys.meta_path[:] = [f for f in sys.meta_path if "__editable__" not in str(getattr(f, "__module__", ""))]
    for name in [name for name in sys.modules if name.split(".")[0] == "move37"]:
        del sys.modules[name]


if __name__ == "__main__":
    main()
