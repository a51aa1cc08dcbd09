"""Removes what launchers left behind that were killed together with their driver: empty cgroups and folders."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from move37.sandbox.process import cgroups
from move37.sandbox.worker.cleaning import Leftover, remove_tree

PREFIX = "move37-zygote-"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def sweep() -> int:
    """How many things were removed. Never touches what belongs to a launcher that lives."""
    removed = 0
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = path.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not alive(int(owner)) and path.lstat().st_uid == os.geteuid():
            with contextlib.suppress(OSError, Leftover):
                remove_tree(str(path))
                removed += 1
    if sys.platform == "linux":
        removed += cgroups.sweep(alive)
    return removed
