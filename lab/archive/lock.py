"""One writer a home: an advisory lock, which the kernel releases when its process ends."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import IO

from move37.lab.errors import ArchiveBusy

if os.name == "posix":
    import fcntl


TRIES, PAUSE = 5, 0.05  # `is_held` in another process holds it for a moment


class HomeLock:
    """Held by the campaign's process; the processes that it starts do not inherit the descriptor."""

    def __init__(self, handle: IO[str]) -> None:
        self._handle = handle

    @classmethod
    def acquire(cls, home: Path) -> HomeLock:
        """Take the lock of `home`. Raises `ArchiveBusy` and names the holder's process."""
        path = home / "lock"
        handle = path.open("a+", encoding="ascii")
        try:
            _lock(handle)
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            handle.close()
            raise ArchiveBusy(
                f"another campaign (process {holder}) is writing to {home}: wait for it, stop it, or use another --home"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        return cls(handle)

    @staticmethod
    def is_held(home: Path) -> bool:
        """Whether a campaign works in `home` now. False on systems without POSIX locks."""
        path = home / "lock"
        if os.name != "posix" or not path.is_file():
            return False
        with path.open(encoding="ascii") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    def release(self) -> None:
        """Let go; idempotent."""
        self._handle.close()


def _lock(handle: IO[str]) -> None:
    """Raises `OSError` when another process holds it for longer than `is_held` takes."""
    if os.name != "posix":
        return
    for attempt in range(TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if attempt == TRIES - 1:
                raise
            time.sleep(PAUSE)
