"""What this machine allows a job to be confined with, found by trying once at the start."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from move37.sandbox.process import rootfs, seccomp_filter
from move37.sandbox.process.cgroups import Cgroup
from move37.sandbox.worker import landlock, syscalls

LINUX = sys.platform == "linux"


ALL_SPACES = syscalls.SPACES | syscalls.CLONE_NEWPID
NOBODY = 65534


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSupport:
    """What this machine allows; `reasons` says why something is missing."""

    spaces: str = ""  # "root", "user" (through a user namespace) or "" (none)
    change_user: bool = False  # a job gets a user of its own (as root)
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
    spaces = ""
    if not namespaces:
        reasons["namespaces"] = "switched off"
    else:
        for kind in ("root", "user") if os.geteuid() == 0 else ("user",):
            if (problem := try_spaces(kind)) is None:
                spaces = kind
                break
            reasons["namespaces"] = problem
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
        change_user=os.geteuid() == 0 and spaces != "user" and (spaces == "root" or open_to_all(reasons)),
        landlock=version,
        filter=compiled,
        private_filter=private,
        memory_group=group.counts_memory,
        process_group=group.counts_processes,
        reasons=reasons,
    )


def open_to_all(reasons: dict[str, str]) -> bool:
    """Whether user `nobody` can read this interpreter without a root file system of our making."""
    for folder in rootfs.interpreter_folders():
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
    """Every capability, but only over what we make ourselves; our user is `nobody` in it."""
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")
