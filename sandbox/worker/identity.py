"""Who a job is to the kernel: a user of its own, that nothing else on this machine is.

The supervisor (PID 1 of a container, or of the process backend's namespace) is somebody else: a job cannot signal it,
lower its limits or touch what is its own. What a job left is read and removed by the supervisor *as that job*
(`acting_as`), so that it reaches exactly what the job could reach. Each job of a container is another user.

Not covered: a user namespace of an ordinary user, which has one user only; macOS.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from move37.sandbox.worker import syscalls

SUPERVISOR = 65534
FIRST, LAST = 1 << 20, (1 << 31) - 1  # users of no distribution's, and within what every kernel takes
BLOCK = 1 << 16  # users of one supervisor
CAP_CHOWN, CAP_KILL, CAP_SETGID, CAP_SETUID = 0, 5, 6, 7
KEPT = (CAP_CHOWN, CAP_KILL, CAP_SETGID, CAP_SETUID)


def job_users(uid_map: str, seed: int) -> Iterator[int] | None:
    """Users for the jobs of one supervisor, one after another; None where the namespace has too few.

    `uid_map` as in /proc/self/uid_map, `seed` random: two supervisors that know nothing of each other hardly ever draw
    the same users.
    """
    ranges = [(int(first), int(length)) for first, _, length in (line.split() for line in uid_map.splitlines())]
    for first, length in ranges:
        low, high = max(first, FIRST), min(first + length - 1, LAST)
        if high - low >= BLOCK:
            start = low + seed % (high - low - BLOCK)
            return (start + number % BLOCK for number in count())
    for first, length in ranges:
        # A remapped daemon hands out 65,536 users; those below 1,000 and nobody have names in the image.
        low, high = max(first, 1000), min(first + length, SUPERVISOR) - 1
        if high - low >= 256:
            start = seed % (high - low)
            return (low + (start + number) % (high - low) for number in count())
    return None


def users_here() -> Iterator[int] | None:
    """`job_users` of this process; None for one that may not change its user."""
    if not hasattr(os, "setresuid"):
        return None
    try:
        return job_users(Path("/proc/self/uid_map").read_text(), int.from_bytes(os.urandom(6), "little"))
    except OSError:
        return None


def leave_root() -> None:
    """Become the supervisor's user, with the four rights that it needs. Raises `OSError`."""
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
    become(SUPERVISOR)
    syscalls.set_capabilities(sum(1 << right for right in KEPT))
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 0)


def make_folders(root: Path, own: Iterable[str], user: int | None) -> None:
    """`work`, and the job's `own`. In a sticky folder every user may make files, and none may replace those of others:
    the files that are sent."""
    for name, mode in (("work", 0o1777), *((name, 0o755) for name in own)):
        (root / name).mkdir()
        (root / name).chmod(mode)
        if user is not None and name != "work":
            os.chown(root / name, user, user)


def hand_over(folder: Path, user: int | None) -> None:
    """Let the job own everything below `folder`."""
    if user is not None:
        for path, _, names in os.walk(folder):
            for name in ("", *names):
                os.chown(os.path.join(path, name), user, user)


def become(user: int) -> None:
    """For good; capabilities are another matter."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


@contextlib.contextmanager
def acting_as(user: int | None) -> Iterator[None]:
    """Look at files with a job's rights and no others. Only when nothing of the job lives any more."""
    if user is None:
        yield
        return
    own_user, own_group = os.geteuid(), os.getegid()
    dies_with_parent = syscalls.parent_death_signal()
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(own_user)
        os.setegid(own_group)
        # A change of user forgets both.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, dies_with_parent)
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
