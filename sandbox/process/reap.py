"""Removes what launchers left behind that were killed together with their driver: empty cgroups and folders.

What cannot be looked at or removed stays, and keeps no job from running.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from move37.sandbox.process import cgroups
from move37.sandbox.worker.cleaning import Leftover, remove_tree

PREFIX = "move37-zygote-"
# Where a launcher makes its folder, whatever its driver's TMPDIR is: nothing of the driver's environment reaches it.
FOLDERS = ("/tmp", "/var/tmp", "/usr/tmp")
MOST_PID = 2**31 - 1


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def owner_of(name: str) -> int | None:
    """The launcher's process number that `name` begins with; None where anybody else made it."""
    number = name.split("-")[0]
    if not (number.isascii() and number.isdecimal() and len(number) <= len(str(MOST_PID))):
        return None
    return int(number) if 0 < int(number) <= MOST_PID else None


def sweep() -> int:
    """How many things were removed. Never touches what belongs to a launcher that lives."""
    removed = 0
    for place in dict.fromkeys(map(os.path.realpath, FOLDERS)):
        for path in _listed(place):
            with contextlib.suppress(OSError, Leftover):
                owner = owner_of(path.name.removeprefix(PREFIX))
                if owner is not None and not alive(owner) and path.lstat().st_uid == os.geteuid():
                    remove_tree(str(path))
                    removed += 1
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            removed += cgroups.sweep(lambda name: (owner := owner_of(name)) is None or alive(owner))
    return removed


def _listed(place: str) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(Path(place, name) for name in os.listdir(place) if name.startswith(PREFIX))
    return []
