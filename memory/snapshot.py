"""Reading while another process writes: a copy of the embedded store, taken while the writer stands still.

A writer holds the folder's lock during each write, so a copy under that lock is whole: a shard and its write-ahead log
agree, and no page is torn. It takes some 20 ms for the built-in base. Where the writer does not let go in time (it
builds a graph), the copy is taken all the same and must load.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import structlog
from filelock import Timeout

from move37.memory.edge import EdgeStore
from move37.memory.errors import MemoryUnavailable
from move37.memory.files import copy_tree, writing_lock

log = structlog.get_logger()
PATIENCE_S = 10.0  # that a reader waits for a writer's pause


class Snapshot(EdgeStore):
    """A store over a copy that is removed when it is closed; what is written to it is gone with it."""

    def __init__(self, folder: Path) -> None:
        self._copy = Path(tempfile.mkdtemp(prefix="move37-memory-"))
        try:
            _copy_still(folder, self._copy)
            super().__init__(self._copy)
        except BaseException:
            shutil.rmtree(self._copy, ignore_errors=True)
            raise

    def close(self) -> None:
        """Close the shards and remove the copy."""
        self._unoptimized.clear()  # no graph is built for a copy that will be deleted
        try:
            super().close()
        finally:
            shutil.rmtree(self._copy, ignore_errors=True)


def _copy_still(folder: Path, target: Path) -> None:
    lock = writing_lock(folder)
    try:
        lock.acquire(timeout=PATIENCE_S)
    except (Timeout, OSError) as error:  # OSError: a read-only folder, which has no writer either
        log.info("copied_without_lock", folder=str(folder), error=str(error))
    try:
        for child in sorted(folder.iterdir()):
            if child.is_dir() and ".aside-" not in child.name:
                copy_tree(child, target / child.name)
    except OSError as error:
        raise MemoryUnavailable(f"The memory in {folder} cannot be copied to read it ({error}).") from error
    finally:
        lock.release()
