"""What this machine allows a job to be confined with, found by trying once at the start."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from move37.sandbox.process import rootfs, seccomp_filter, subordinate
from move37.sandbox.process.cgroups import Cgroup
from move37.sandbox.process.subordinate import Subordinate
from move37.sandbox.worker import landlock, syscalls

LINUX = sys.platform == "linux"


ALL_SPACES = syscalls.SPACES | syscalls.CLONE_NEWPID
NOBODY = 65534
TRIAL_ROOT = "/tmp"  # covered in a mount namespace that ends with the trial


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSupport:
    """What this machine allows; `reasons` says why something is missing."""

    spaces: str = ""  # "root", "user" (through a user namespace) or "" (none)
    change_user: bool = False  # a job gets a user of its own (as root, or with those below)
    below: Subordinate | None = None  # users that an ordinary user has for its jobs
    landlock: int = 0  # ABI version
    filter: bytes = b""  # seccomp instructions, where files are seen that others see too
    private_filter: bytes = b""  # where none are
    memory_group: bool = False
    process_group: bool = False
    reasons: dict[str, str] = field(default_factory=dict)


def decide(group: Cgroup, reasons: dict[str, str], *, namespaces: bool) -> HostSupport:
    """What can be put up here, found by trying."""
    if not LINUX:
        reasons |= dict.fromkeys(("namespaces", "landlock", "seccomp", "cgroup"), "only Linux has it")
        return HostSupport(reasons=reasons)
    spaces, below = find_spaces(reasons) if namespaces else ("", None)
    if not namespaces:
        reasons["namespaces"] = "switched off"
    compiled = private = b""
    try:
        compiled = seccomp_filter.compile_filter(sockets=bool(spaces), shared=True)
        private = seccomp_filter.compile_filter(sockets=bool(spaces), shared=False)
    except OSError as error:
        reasons["seccomp"] = error.strerror or str(error)
    version = landlock.abi()
    if not version:
        reasons["landlock"] = "this kernel has no Landlock (Linux 5.13, lsm=landlock)"
    return HostSupport(
        spaces=spaces,
        change_user=below is not None or has_users(spaces, reasons),
        below=below,
        landlock=version,
        filter=compiled,
        private_filter=private,
        memory_group=group.counts_memory,
        process_group=group.counts_processes,
        reasons=reasons,
    )


def find_spaces(reasons: dict[str, str]) -> tuple[str, Subordinate | None]:
    """How namespaces are to be had here, and the users below ours that go with them."""
    if os.geteuid() == 0:
        if (problem := try_spaces("root")) is None:
            return "root", None
        reasons["namespaces"] = problem
    if below := subordinate.find(reasons):
        if (problem := try_spaces("user", below)) is None:
            return "user", below
        reasons["user"] = f"no users below ours: {problem}"
    if (problem := try_spaces("user")) is None:
        return "user", None
    reasons["namespaces"] = problem
    return "", None


def has_users(spaces: str, reasons: dict[str, str]) -> bool:
    """Whether we may change to any user of this machine, and it can run our interpreter."""
    return os.geteuid() == 0 and (spaces == "root" or (not spaces and open_to_all(reasons)))


def open_to_all(reasons: dict[str, str]) -> bool:
    """Whether user `nobody` can read this interpreter without a root file system of our making."""
    for folder in rootfs.interpreter_folders():
        for parent in (folder, *folder.parents):
            if not parent.stat().st_mode & 0o001:
                reasons["user"] = f"nobody may enter {parent}, so the job stays root without capabilities"
                return False
    return True


def try_spaces(kind: str, below: Subordinate | None = None) -> str | None:
    """Make every namespace once in a child, and mount in it what a supervisor will; the reason why not, or None."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if kind == "user":
                enter_user_namespace(below)
            syscalls.unshare(ALL_SPACES)
            inside = os.fork()  # only a child is born into the process namespace, whose /proc is to be mounted
            if inside == 0:
                try_mounts()
            else:
                os.waitpid(inside, 0)
        except OSError as error:
            os.write(writer, (error.strerror or "refused").encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        problem = stream.read()
    os.waitpid(pid, 0)
    return problem or None


def try_mounts() -> None:
    """A root of our making, a folder of the host in it, and a /proc, which the kernel may refuse where the host's is
    covered in part (in a container). Raises `OSError`."""
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("move37", TRIAL_ROOT, "tmpfs", syscalls.MS_NOSUID, "size=64k,mode=755")
    os.mkdir(TRIAL_ROOT + rootfs.NOTHING)
    rootfs.show_folder("/usr", TRIAL_ROOT)
    syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)


def enter_user_namespace(below: Subordinate | None = None) -> None:
    """Every capability, but only over what we make ourselves; our user is `nobody` in it, or its root with users below.

    Raises `OSError`.
    """
    if below is not None:
        subordinate.enter_user_namespace(below)
        return
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")
