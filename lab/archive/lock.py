"""One writer a home: an advisory lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from move37.lab.errors import ArchiveBusy

if os.name == "posix":
    import fcntl


class HomeLock:
    """Held by the campaign's process alone: the descriptor is not inherited by anything it starts."""

    def __init__(self, handle: IO[str]) -> None:
        self._handle = handle

    @classmethod
    def acquire(cls, home: Path) -> HomeLock:
        """Take the lock of `home`. Raises `ArchiveBusy` and names the holder's process."""
        path = home / "lock"
        handle = path.open("a+", encoding="ascii")
        try:
            if os.name == "posix":
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
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

    def release(self) -> None:
        """Let go; idempotent."""
        self._handle.close()
