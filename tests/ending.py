"""The end of processes that are not our own children."""

from __future__ import annotations

import os
import select
from pathlib import Path


def wait_for_the_end_of(pid: int, *, seconds: float) -> None:
    """Returns when that process has ended, or after so many seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([handle], [], [], seconds)
    finally:
        os.close(handle)


def is_running(pid: int) -> bool:
    """Whether that process has not ended; one that waits to be reaped has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
