"""Reading while another process writes: a copy of the embedded store, taken while the writer stands still.

A writer holds the folder's lock during each write, so what is read under that lock is whole: a shard and its
write-ahead log agree, and no page is torn. The copy itself is made before, and only compared and mended under the lock:
no writer waits for the copying of megabytes. Where the writer does not let go in time (it builds a graph), the copy is
compared without the lock, until nothing moved.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from filelock import FileLock, Timeout

from move37.memory.edge import EdgeStore
from move37.memory.edge_convert import MANIFEST
from move37.memory.errors import MemoryFault, MemoryUnavailable, StoreBroken
from move37.memory.files import mirror, writing_lock

log = structlog.get_logger()
PREFIX = "move37-memory-"
PATIENCE_S = 10.0  # that a reader waits for a writer's pause
TRIES = 5  # copies without the lock
PAUSE_S = 1.0  # between two of them


class Snapshot(EdgeStore):
    """A store over a copy that is removed when it is closed; what is written to it is gone with it."""

    def __init__(self, folder: Path) -> None:
        self._original = folder
        try:
            _remove_orphans()
            self._copy = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._held = FileLock(_lock_of(self._copy))  # while this process lives
            try:
                self._held.acquire(timeout=0)
                _copy_still(folder, self._copy)
                super().__init__(self._copy)
            except BaseException:
                self._remove()
                raise
        except OSError as error:
            raise MemoryUnavailable(f"The memory in {folder} cannot be copied to read it ({error}).") from error

    def _make_way(self, path: Path) -> None:
        """A shard that lost its manifest is no empty memory: only who writes may set it aside."""
        if not self._holds_nothing(path):
            raise StoreBroken(
                f"The memory in {path} has no {MANIFEST}, so it cannot be read; the next command that writes to it,"
                " `move37 memory add --builtin` for example, sets it aside and begins another one."
            )
        super()._make_way(path)

    def _call(self, work: Any, path: Path | None = None) -> Any:
        """A sentence names what the user has, not the copy."""
        try:
            return super()._call(work, path)
        except MemoryFault as error:
            raise type(error)(str(error).replace(str(self._copy), str(self._original))) from error

    def close(self) -> None:
        """Close the shards and remove the copy."""
        self._unoptimized.clear()  # no graph is built for a copy that will be deleted
        try:
            super().close()
        finally:
            self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self._copy, ignore_errors=True)
        self._held.release()
        _lock_of(self._copy).unlink(missing_ok=True)


def _lock_of(copy: Path) -> Path:
    return copy.with_name(f"{copy.name}.lock")


def _remove_orphans() -> None:
    """Copies of readers that were killed: whoever lives holds the lock beside his."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*.lock"):
        lock = FileLock(path)
        with suppress(Timeout, OSError):  # OSError: another user's
            lock.acquire(timeout=0)
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
            path.unlink(missing_ok=True)
        lock.release()


def _copy_still(folder: Path, target: Path) -> None:
    with suppress(FileNotFoundError):  # what went away or changed meanwhile is seen to under the lock
        mirror(folder, target)
    lock = writing_lock(folder)
    try:
        lock.acquire(timeout=PATIENCE_S)
    except (Timeout, OSError) as error:  # OSError: a read-only folder, which has no writer either
        log.info("copied_without_lock", folder=str(folder), error=str(error))
    try:
        if lock.is_locked:
            mirror(folder, target)
        else:
            _copy_moving(folder, target)
    finally:
        lock.release()


def _copy_moving(folder: Path, target: Path) -> None:
    """Without the lock: until a pass finds nothing to do. Between it and the one before, the two were alike."""
    for _ in range(TRIES):
        with suppress(FileNotFoundError):
            if not mirror(folder, target):
                return
        time.sleep(PAUSE_S)
    raise MemoryUnavailable(f"The memory in {folder} is being rebuilt by another process; try again in a minute.")
