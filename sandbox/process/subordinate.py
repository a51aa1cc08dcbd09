"""Users below an ordinary user, for the jobs in the user namespace that it makes.

The kernel lets an ordinary user put one user into a namespace: its own. `newuidmap` and `newgidmap` (Debian's package
uidmap) put in those that /etc/subuid and /etc/subgid grant it besides; then each job is a user of its own there, too,
and the supervisor is `root` of that namespace, as it is where it is root of the machine.

Not covered: ranges that a directory server hands out (`getsubids`).
"""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from move37.sandbox.process import rootfs
from move37.sandbox.worker import syscalls

TOOLS = ("newuidmap", "newgidmap")
USERS, GROUPS = Path("/etc/subuid"), Path("/etc/subgid")
FIRST, LAST = 1000, 65533  # inside: what `identity.job_users` draws from in a namespace of this size
LEAST = 1024
TOOL_SECONDS = 20
WITHOUT = "so that all jobs are one user to the kernel"


class Subordinate(NamedTuple):
    """The first user and the first group of a range, and its length, which is that of the shorter."""

    user: int
    group: int
    length: int


def granted(text: str, names: frozenset[str]) -> tuple[int, int]:
    """The longest range of a file like /etc/subuid that is of one of `names`: its first number and its length; pure."""
    longest = (0, 0)
    for line in text.splitlines():
        name, *numbers = line.strip().split(":")
        if name in names and len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            first, length = map(int, numbers)
            longest = max(longest, (first, length), key=lambda one: one[1])
    return longest


def find(reasons: dict[str, str]) -> Subordinate | None:
    """What this user has; else None, and why in `reasons`."""
    number = os.geteuid()
    try:
        names = frozenset({str(number), pwd.getpwuid(number).pw_name})
        ranges = [granted(file.read_text(), names) for file in (USERS, GROUPS)]
    except (KeyError, OSError):
        ranges = [(0, 0)]
    length = min(LAST - FIRST + 1, *(length for _, length in ranges))
    if length < LEAST:
        reasons["user"] = f"{USERS} and {GROUPS} grant this user none, {WITHOUT}"
    elif not all(map(shutil.which, TOOLS)):
        reasons["user"] = f"{' and '.join(TOOLS)} are not installed (package uidmap), {WITHOUT}"
    elif closed := next(filter(is_closed, shown()), None):
        reasons["user"] = f"only its owner may read {closed}, {WITHOUT}"
    else:
        return Subordinate(ranges[0][0], ranges[1][0], length)
    return None


def shown() -> list[Path]:
    """The folders of the interpreter that a job sees, and what stands in them."""
    return [path for folder in rootfs.interpreter_folders() for path in (folder, *folder.iterdir())]


def is_closed(path: Path) -> bool:
    """Whether other users cannot read it; what a link leads to is looked at where it stands."""
    mode = path.lstat().st_mode
    return not path.is_symlink() and mode & (0o005 if path.is_dir() else 0o004) != (0o005 if path.is_dir() else 0o004)


def enter_user_namespace(below: Subordinate) -> None:
    """Every capability, but only over what we make ourselves; we are its root. Raises `OSError`."""
    command = [
        [tool, str(os.getpid()), "0", str(own), "1", str(FIRST), str(first), str(below.length)]
        for tool, own, first in zip(TOOLS, (os.geteuid(), os.getegid()), (below.user, below.group), strict=True)
    ]
    ready, entered = os.pipe()
    helper = os.fork()  # the tools write from outside, once we are inside
    if helper == 0:
        os.close(entered)
        os._exit(_map(command) if os.read(ready, 1) else 1)
    os.close(ready)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        os.write(entered, b"1")
    finally:
        os.close(entered)
        status = os.waitpid(helper, 0)[1]
    if status:
        raise OSError(errno.EPERM, f"{TOOLS[0]} was refused")


def _map(commands: list[list[str]]) -> int:
    """Exit status of a process: 0 where every command ended well."""
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, timeout=TOOL_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return 1
    return 0
