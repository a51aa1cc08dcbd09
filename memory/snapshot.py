"""Reading while another process writes: a copy of the embedded store, taken while the writer stands still.

A writer holds the folder's lock during each write, so a copy under that lock is whole: a shard and its write-ahead log
agree, and no page is torn. It takes some 20 ms for the built-in base. Where the writer does not let go in time (it
builds a graph), the copy is taken all the same, until one was whole.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import structlog
from filelock import FileLock, Timeout

from move37.memory.edge import EdgeStore
from move37.memory.edge_convert import MANIFEST
from move37.memory.errors import MemoryUnavailable
from move37.memory.files import copy_tree, writing_lock

log = structlog.get_logger()
PREFIX = "move37-memory-"
PATIENCE_S = 10.0  # that a reader waits for a writer's pause
TRIES = 5  # copies without the lock
PAUSE_S = 1.0  # between two of them


class Snapshot(EdgeStore):
    """A store over a copy that is removed when it is closed; what is written to it is gone with it."""

    def __init__(self, folder: Path) -> None:
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
    lock = writing_lock(folder)
    try:
        lock.acquire(timeout=PATIENCE_S)
    except (Timeout, OSError) as error:  # OSError: a read-only folder, which has no writer either
        log.info("copied_without_lock", folder=str(folder), error=str(error))
    try:
        if lock.is_locked:
            _copy(folder, target)
        else:
            _copy_moving(folder, target)
    except OSError as error:
        raise MemoryUnavailable(f"The memory in {folder} cannot be copied to read it ({error}).") from error
    finally:
        lock.release()


def _copy_moving(folder: Path, target: Path) -> None:
    """A copy without the lock: taken again where files came, went or grew meanwhile."""
    for _ in range(TRIES):
        try:
            before = _listing(folder)
            _copy(folder, target)
            if _listing(folder) == before:
                return
        except FileNotFoundError:
            pass
        for child in target.iterdir():
            if child.is_dir():
                shutil.rmtree(child)
            else:
                child.unlink()
        time.sleep(PAUSE_S)
    raise MemoryUnavailable(f"The memory in {folder} is being rebuilt by another process; try again in a minute.")


def _copy(folder: Path, target: Path) -> None:
    for child in sorted(folder.iterdir()):
        if ".aside-" in child.name:
            continue
        if child.is_dir():
            copy_tree(child, target / child.name)
        elif child.name.endswith(MANIFEST):
            shutil.copyfile(child, target / child.name)


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Each file's (number, size)."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            known = path.stat()
            found[str(path)] = (known.st_ino, known.st_size)
    return found
