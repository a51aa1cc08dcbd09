"""What `ProcessSandbox` starts: `python sandbox/process/launcher.py CONFIG`, one for each job at a time.

    launcher   the process that the host knows. Sees the host's files, makes the cgroup and a folder to mount on,
               removes both at the end, also when the host is killed (it then gets SIGTERM from the kernel)
     '- supervisor   PID 1 of a pid namespace: its death takes everything with it. Talks to the host
         |- zygote   torch imported; forks, reaps, and never sees a job
         '- init     of the namespaces of the next job (namespaces.py)

Each dies with its parent. Where namespaces are not allowed supervisor and zygote are ordinary children, the zygote is
the reaper of all its descendants and kills them, at the end the launcher; a launcher that is killed itself leaves what
jobs started beside them. Needs the standard library, torch if there is torch, pyseccomp if
there is libseccomp.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

sys.path[0] = str(Path(__file__).absolute().parents[3])  # the links of a checkout stay as they are

from move37.sandbox.process import namespaces, rootfs, seccomp_filter  # noqa: E402
from move37.sandbox.process.cgroups import Cgroup  # noqa: E402
from move37.sandbox.process.host_support import HostSupport, decide, enter_user_namespace  # noqa: E402
from move37.sandbox.process.zygote import Zygote, descendants  # noqa: E402
from move37.sandbox.worker import syscalls  # noqa: E402
from move37.sandbox.worker.cleaning import Leftover, remove_tree  # noqa: E402
from move37.sandbox.worker.jobs import serve  # noqa: E402
from move37.sandbox.worker.warm_up import hide  # noqa: E402
from move37.sandbox.worker.wire import Gone, Wire, take_channel  # noqa: E402

LINUX = sys.platform == "linux"


def main() -> NoReturn:
    os.umask(0o022)  # the driver's may close our files to the job's user
    config = json.loads(sys.argv[1])
    wire = take_channel()
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
        support = decide(group, reasons, namespaces=config["namespaces"])
        status = launch(wire, support, group, scratch, warm=config["warm"])
    finally:
        group.remove()
        with contextlib.suppress(OSError, Leftover):
            remove_tree(scratch)
        os._exit(status)


def launch(wire: Wire, support: HostSupport, group: Cgroup, scratch: str, *, warm: bool) -> int:
    """Start the supervisor and outlive it."""
    if support.spaces == "user":
        enter_user_namespace(support.below)
    if support.spaces:
        syscalls.unshare(syscalls.CLONE_NEWPID)
    elif LINUX:
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)  # what loses its parents below becomes our child
    pid = os.fork()
    if pid == 0:
        try:
            supervise(wire, support, group, scratch, warm=warm)
            os._exit(0)
        except Gone:
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)

    def end_supervisor(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself: what follows is ours to do
            os.kill(pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end_supervisor)
    os.close(wire.reader)
    os.close(wire.writer)
    status = os.waitpid(pid, 0)[1]
    if LINUX and not support.spaces:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        kill_descendants()
    return 0 if status == 0 else 1


def kill_descendants() -> None:
    """Without a namespace that ends with its first process: kill what is left until nothing is."""
    while True:
        for pid in descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def supervise(wire: Wire, support: HostSupport, group: Cgroup, scratch: str, *, warm: bool) -> None:
    """The supervisor."""
    root = Path(scratch, "job")
    if LINUX:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
    if support.spaces:
        syscalls.unshare(syscalls.SPACES)
        if support.change_user:
            os.setgroups([])
        if not rootfs.build(scratch):
            support = replace(support, filter=support.private_filter)
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
        rootfs.leave_old_root()
        root = Path(rootfs.JOB)
        namespaces.mount_job(root)
    else:
        root.mkdir()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET if LINUX else socket.SOCK_DGRAM)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            os.close(wire.reader)
            os.close(wire.writer)
            Zygote(theirs, support, root).run(warm=warm)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    theirs.close()
    hide()
    greeting = json.loads(ours.recv(namespaces.MAX_MESSAGE) or b"null")
    if greeting is None:
        raise Gone
    isolation = namespaces.NamespaceIsolation(ours, pid, support, group, root)
    report = {
        "spaces": support.spaces,
        "change_user": support.change_user,
        "landlock": support.landlock,
        "seccomp": seccomp_filter.instructions(support.filter),
        "memory_group": support.memory_group,
        "process_group": support.process_group,
        "cgroup_version": group.version,
        "reasons": support.reasons,
    }
    wire.tell(b"R", **greeting, report=report)
    serve(wire, isolation)


if __name__ == "__main__":
    main()
