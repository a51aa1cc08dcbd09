"""Locks on a candidate's process: the job's files, its results, other processes and the network are out of its reach.

Two locks, neither of which can be undone, also for its children: Landlock (Linux 5.13) limits which files can be read,
and lets none be written (`close_files`); a seccomp filter refuses calls that touch, start or talk to another process
(`close_calls`). `hide` protects a process from its children.

The corpus is denied too: torch installs sympy, whose sources are the pinned text.
Not covered: systems without Landlock or seccomp (macOS, gVisor), where what is missing is reported and every number is
marked self-reported; docstrings of the part of sympy that torch has imported already, which stay in memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from move37.lab.inside.mounts import everywhere
from move37.lab.inside.refused_calls import refusing_filter

CORPUS = "sympy"  # the package whose sources are the pinned corpus
LANDLOCK, SECCOMP = "Landlock", "seccomp filter"

_PR_SET_DUMPABLE, _PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 4, 1, 38, 22, 2
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture since Linux 5.13
_READ_FILE, _WRITE_FILE, _TRUNCATE = 1 << 2, 1 << 1, 1 << 14
_CHANGES = sum(1 << bit for bit in (0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12))  # execute, write, remove, make; ABI 1
_REFER, _SIGNALS = 1 << 13, 2
_PATH_BENEATH = 1
_PROC = Path("/proc")  # where processes show their memory and arguments
_OF_PROC = ("/proc/cpuinfo", "/proc/meminfo", "/proc/driver")
_WRITABLE = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def hide() -> None:
    """Protect this process from its children: no ptrace, no /proc/PID/mem. Without effect outside of Linux."""
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends. Linux; elsewhere the closed channel ends it."""
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_PDEATHSIG, 9)


def close_files(denied: Iterable[Path], *, writable: Iterable[str] = ()) -> bool:
    """From here on nothing at or below `denied`, nor the corpus's sources, can be read, and no file written or run.

    `writable`: devices that stay open for writing (a GPU's). False where the system lacks Landlock.
    """
    if not sys.platform.startswith("linux") or _prctl(_PR_SET_NO_NEW_PRIVS, 1) != 0:
        return False
    try:
        _restrict_files(everywhere({path.resolve() for path in (*denied, *_corpus(), _PROC)}), (*_WRITABLE, *writable))
    except OSError:
        return False
    return True


def close_calls() -> bool:
    """No other process can be touched, started or talked to from here on. False where the system lacks seccomp."""
    if not sys.platform.startswith("linux") or _prctl(_PR_SET_NO_NEW_PRIVS, 1) != 0:
        return False
    try:
        _restrict_calls()
    except OSError:
        return False
    return True


def job_files(keep: Iterable[str]) -> list[Path]:
    """What stands in the job's folder but `keep`, and the folder of its results: what a candidate must not read."""
    kept = set(keep)
    found = [path for path in Path.cwd().iterdir() if path.name not in kept]
    return [*found, Path(os.environ["MOVE37_OUT"])] if "MOVE37_OUT" in os.environ else found


def _corpus() -> list[Path]:
    """Every copy in reach: this interpreter's, those of the one that a virtual environment rests on, the system's."""
    places = {Path(entry) for entry in sys.path}
    for prefix in (sys.prefix, sys.base_prefix, "/usr", "/usr/local"):
        places.update(Path(prefix).glob("lib*/python3*/*-packages"))
    places.update(Path("/nix/store").glob("*/lib/python3*/site-packages"))
    return [place / CORPUS for place in places if (place / CORPUS).is_dir()]


def _restrict_files(denied: set[Path], writable: Iterable[str]) -> None:
    version = _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    handled = _READ_FILE | _CHANGES | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    rules = _Ruleset(files=handled, scoped=_SIGNALS | 1 if version >= 6 else 0)
    size = 24 if version >= 6 else 8
    ruleset = _call(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        above = {parent for path in denied for parent in path.parents}
        for path in _readable(Path("/"), _identities(denied), _identities(above)):
            _allow(ruleset, path, _READ_FILE)
        for name in _OF_PROC:
            _allow(ruleset, Path(name), _READ_FILE)
        for name in writable:
            _allow(ruleset, Path(name), _READ_FILE | _WRITE_FILE)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _identities(paths: Iterable[Path]) -> set[tuple[int, int]]:
    found = set()
    for path in paths:
        with contextlib.suppress(OSError):  # what is not there has none
            status = path.stat()
            found.add((status.st_dev, status.st_ino))
    return found


def _readable(folder: Path, denied: set[tuple[int, int]], above: set[tuple[int, int]]) -> Iterable[Path]:
    """The largest trees that hold nothing denied. What a link leads to is decided where it stands.

    By identity, not by path: Landlock knows a folder by itself, so one that is mounted at two places (a job's /tmp is
    its /job/tmp) would be allowed at both.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # a folder that cannot be listed is denied whole
    for entry in entries:
        path = folder / entry.name
        try:
            status = path.lstat()
        except OSError:
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in denied or stat.S_ISLNK(status.st_mode):
            continue
        if identity in above:
            yield from _readable(path, denied, above)
        else:
            yield path


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # unreadable for this user anyway
    try:
        rule = _Beneath(rights, parent)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(parent)


def _restrict_calls() -> None:
    code = refusing_filter(platform.machine())
    program = _Program(len(code) // 8, code)
    if _libc().prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> int:
    return int(_libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def _call(number: int, *arguments: object) -> int:
    result = int(_libc().syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
