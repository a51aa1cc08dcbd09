"""Landlock: a process gives up everything in the file system but what stands on a list (Linux 5.13).

`restrict` is called in the child, last but one (seccomp comes after it). From ABI 4 on TCP is refused too, and from
ABI 6 on signals and abstract sockets to processes outside; the namespaces do the same, and either may be missing.
Standard library only.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

from move37.sandbox.worker import syscalls

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
# Rights that a rule for a single file may carry.
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
# Number of file rights that each ABI version knows.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
NET_RIGHTS = 3  # bind and connect over TCP
SCOPES = 3  # abstract unix sockets, signals
MAKE_DEVICES = 1 << 6 | 1 << 11  # MAKE_CHAR, MAKE_BLOCK: granted nowhere


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """Version that this kernel offers; 0 when it offers none."""
    try:
        return syscalls.syscall(syscalls.NR_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1, what="landlock")
    except OSError:
        return 0


def restrict(readable: Sequence[str], writable: Sequence[str], *, loopback: bool) -> None:
    """Reading and running below `readable`, all but devices below `writable`, nothing else, for good.

    `loopback`: TCP is left alone because a network namespace with nothing but a loopback device holds it.
    Paths that do not exist are left out. Needs no_new_privs. Raises `OSError`.
    """
    version = abi()
    known = (1 << FILE_RIGHTS.get(version, 16)) - 1
    ruleset = _Ruleset(
        files=known,
        net=NET_RIGHTS if version >= 4 and not loopback else 0,
        scoped=SCOPES if version >= 6 else 0,
    )
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset_fd = syscalls.syscall(
        syscalls.NR_LANDLOCK_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0, what="landlock"
    )
    try:
        for path in readable:
            _allow(ruleset_fd, path, READ & known)
        for path in writable:
            _allow(ruleset_fd, path, known & ~MAKE_DEVICES)
        syscalls.syscall(syscalls.NR_LANDLOCK_RESTRICT_SELF, ruleset_fd, 0, what="landlock")
    finally:
        os.close(ruleset_fd)


def _allow(ruleset_fd: int, path: str, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= ON_FILES
        rule = _Beneath(rights, parent)
        syscalls.syscall(
            syscalls.NR_LANDLOCK_ADD_RULE, ruleset_fd, 1, ctypes.byref(rule), 0, what=f"landlock rule {path}"
        )
    finally:
        os.close(parent)
