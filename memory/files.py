"""Files that must survive: written in one step and synced, locked while they change, copied without their holes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from filelock import FileLock

from move37.memory.errors import NoRoom

LOCK = "writing.lock"
ROOM = 64 * 2**20  # bytes that must be free: the engine writes through mapped files, and dies where a page has no room
_BLOCK = 1 << 20  # bytes read at once


def write_synced(path: Path, content: str | bytes) -> None:
    """Replace a file in one step. On the disk, with its name, when it returns.

    Raises:
        OSError: the disk is full or read-only.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.{os.getpid()}.new")
    with half.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(half, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """A new name is on the disk when its folder is; a system that cannot sync one does it by itself."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def writing_lock(folder: Path) -> FileLock:
    """The lock that a writer of this folder holds while its files change."""
    return FileLock(folder / LOCK, thread_local=False)


def require_room(folder: Path) -> None:
    """Raises `NoRoom` where the disk is too full for the engine. A user's own quota is not seen."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < ROOM:
        raise NoRoom(
            f"The disk of {folder} has {free >> 20} MB left and the memory needs {ROOM >> 20}; free some space."
        )


def copy_tree(source: Path, target: Path) -> None:
    """Every file of a folder; holes stay holes, so that a shard of 340 MB in name costs the megabyte that it has."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif path.is_file() and path.name != LOCK:
            place.parent.mkdir(parents=True, exist_ok=True)
            _copy_sparse(path, place)


def _copy_sparse(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("wb") as new:
        size = os.fstat(old.fileno()).st_size
        for start, end in _extents(old.fileno(), size):
            old.seek(start)
            new.seek(start)
            while start < end:
                block = old.read(min(_BLOCK, end - start))
                if not block:
                    break
                new.write(block)
                start += len(block)
        new.truncate(size)


def _extents(handle: int, size: int) -> list[tuple[int, int]]:
    """Where a file holds data; the whole of it where the system cannot say."""
    if not hasattr(os, "SEEK_DATA"):
        return [(0, size)]
    out: list[tuple[int, int]] = []
    at = 0
    while at < size:
        try:
            start = os.lseek(handle, at, os.SEEK_DATA)
            at = os.lseek(handle, start, os.SEEK_HOLE)
        except OSError as error:
            return out if error.errno == 6 else [(0, size)]  # ENXIO: only a hole is left
        out.append((start, at))
    return out


def sizes(folder: Path) -> tuple[int, int]:
    """(bytes on the disk, bytes in name) of a folder's files: sparse files have far more in name."""
    stats = [path.stat() for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return sum(getattr(one, "st_blocks", one.st_size // 512) * 512 for one in stats), sum(one.st_size for one in stats)
