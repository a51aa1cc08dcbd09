"""What the candidate's process may not touch: the job's files, its results, other processes, the network.

Two locks, each for good and for all that the process starts: Landlock (Linux 5.13) decides which files can be read,
and that none can be written (`close_files`); a seccomp filter refuses to touch, start or talk to another process
(`close_calls`). `hide` keeps a process out of its children's reach.

The corpus is denied too: torch installs sympy, whose sources are the pinned text.
Not covered: systems without Landlock or seccomp (macOS, gVisor), where what is missing is reported and every number is
marked self-reported; docstrings of the part of sympy that torch has imported already, which stay in memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import platform
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from move37.lab.inside.mounts import everywhere

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

# Calls that are refused: numbers on x86_64 and on aarch64 (None: it does not exist there).
_REFUSED = {
    "ptrace": (101, 117), "tkill": (200, 130), "setrlimit": (160, 164),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "fork": (57, None), "vfork": (58, None),
    "execve": (59, 221), "execveat": (322, 281), "socket": (41, 198), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140), "kcmp": (312, 272), "userfaultfd": (323, 282),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "bpf": (321, 280), "unshare": (272, 97),
    "setns": (308, 268), "mount": (165, 40), "io_uring_setup": (425, 425), "process_madvise": (440, 440),
    "perf_event_open": (298, 241), "keyctl": (250, 219), "add_key": (248, 217), "flock": (73, 32),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the table, AUDIT_ARCH
_CLONE, _CLONE3 = (56, 220), (435, 435)
_OF_ITSELF = {"kill": (62, 129), "tgkill": (234, 131)}  # allowed on the process itself: abort() is one
_PRLIMIT = (302, 261)  # allowed on the process itself, which it calls 0
_CLONE_THREAD = 0x10000
_ALLOW, _EPERM, _ENOSYS, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def hide() -> None:
    """Keep this process out of its children's reach: no ptrace, no /proc/PID/mem. Nothing outside of Linux."""
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """End with the parent, however it ends. Linux; elsewhere the end of a channel is what ends a process."""
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_PDEATHSIG, 9)


def close_files(denied: Iterable[Path], *, writable: Iterable[str] = ()) -> bool:
    """Nothing at or below `denied`, nor the corpus's sources, can be read from here on, and no file written or run.

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
    try:
        spec = importlib.util.find_spec(CORPUS)
    except (ImportError, ValueError):
        spec = None
    return [] if spec is None or spec.origin is None else [Path(spec.origin).parent]


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
        return  # what cannot be listed cannot be allowed in part
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
    machine = platform.machine()
    if machine not in _MACHINES:
        raise OSError(f"no table of calls for {machine}")
    column, architecture = _MACHINES[machine]
    code = _filter(column, architecture)
    program = _Program(len(code) // 8, code)
    if _libc().prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def _filter(column: int, architecture: int) -> bytes:
    """A program for the kernel's packet filter: arguments of a call in, what to do with it out."""
    load, equal, any_bit, at_least, leave = 0x20, 0x15, 0x45, 0x35, 0x06

    def line(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    lines = [line(load, 4), line(equal, architecture, 1, 0), line(leave, _KILL), line(load, 0)]
    if column == 0:
        lines += [line(at_least, 0x40000000, 0, 1), line(leave, _KILL)]  # the x32 numbers of x86_64
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            lines += [line(equal, number, 0, 1), line(leave, _EPERM)]
    # The C library falls back to clone, whose flags a filter can read: threads may start, processes may not.
    lines += [line(equal, _CLONE3[column], 0, 1), line(leave, _ENOSYS)]
    lines += [line(equal, _CLONE[column], 0, 4), line(load, 16), line(any_bit, _CLONE_THREAD, 1, 0)]
    lines += [line(leave, _EPERM), line(leave, _ALLOW)]
    own = {numbers[column]: os.getpid() for numbers in _OF_ITSELF.values()} | {_PRLIMIT[column]: 0}
    for number, itself in own.items():
        lines += [line(equal, number, 0, 4), line(load, 16), line(equal, itself, 1, 0)]
        lines += [line(leave, _EPERM), line(leave, _ALLOW)]
    return b"".join([*lines, line(leave, _ALLOW)])


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> int:
    return int(_libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def _call(number: int, *arguments: object) -> int:
    result = int(_libc().syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
