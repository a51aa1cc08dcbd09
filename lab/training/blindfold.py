"""Close the corpus's own sources before a candidate runs: torch installs sympy, and its sources are our text.

Landlock (Linux 5.13) takes away, for good and for every child process, the right to read files below one folder; all
that stands beside it stays readable. Called by `entry.py` before the candidate is imported.

Not covered: systems without Landlock, where this does nothing and says so by returning False; docstrings of the part
of sympy that torch has already imported, which stay in memory.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

TEXT = "sympy"  # the package whose sources are the pinned corpus
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture since Linux 5.13
_SET_NO_NEW_PRIVS = 38
_READ_FILE = 4
_PATH_BENEATH = 1


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def put_on() -> bool:
    """From here on this process and its children cannot read the corpus's sources. False where that is not possible."""
    import torch._dynamo  # noqa: F401  (the first optimiser step imports it, and it imports the package we close)

    spec = importlib.util.find_spec(TEXT)
    if spec is None or spec.origin is None:
        return True  # nothing to see
    if not sys.platform.startswith("linux"):
        return False
    try:
        _close(Path(spec.origin).resolve().parent)
    except OSError:
        return False
    return True


def _close(folder: Path) -> None:
    """Allow reading below everything but `folder`: what stands beside it, and beside each folder above it."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments: object) -> int:
        result = int(libc.syscall(ctypes.c_long(number), *arguments))
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    handled = _Ruleset(files=_READ_FILE)
    ruleset = call(_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(8), ctypes.c_uint32(0))
    try:
        inner = folder
        for outer in folder.parents:
            for beside in os.scandir(outer):
                if beside.name == inner.name or beside.is_symlink():
                    continue  # what a link leads to is allowed where it stands
                _allow(call, ruleset, beside.path)
            inner = outer
        if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no_new_privs")
        call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(call: object, ruleset: int, path: str) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # unreadable for this user anyway
    try:
        rule = _Beneath(_READ_FILE, parent)
        call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))  # type: ignore[operator]
    finally:
        os.close(parent)
