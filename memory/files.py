"""Files that must survive: written in one step and synced, locked while they change, copied without their holes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from move37.memory.errors import NoRoom

LOCK = "writing.lock"
ASIDE = ".aside-"  # in the name of what was set aside: nothing reads it
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


def mirror(source: Path, target: Path) -> bool:
    """Make a folder the copy of another; gives whether anything was to be done. Only what differs is written, so that
    a second pass costs no more than reading, and holes stay holes, so that a shard of 340 MB in name costs the megabyte
    that it has. What was set aside stays behind.

    Raises:
        OSError: FileNotFoundError, where a file went away meanwhile.
    """
    target.mkdir(parents=True, exist_ok=True)
    names = (path.relative_to(source) for path in _below(source) if path.name != LOCK)
    wanted = {name: source / name for name in names if not any(ASIDE in part for part in name.parts)}
    changed = False
    for place in sorted(target.rglob("*"), reverse=True):  # what lies deepest first
        path = wanted.get(place.relative_to(target))
        if path is None or path.is_dir() != place.is_dir():
            if place.is_dir():
                place.rmdir()
            else:
                place.unlink()
            changed = True
    for name, path in wanted.items():
        if path.is_dir():
            (target / name).mkdir(exist_ok=True)
        elif path.is_file():
            changed |= _mirror_file(path, target / name)
    return changed


def _below(folder: Path) -> Iterator[Path]:
    """Everything, parents first; of links to folders those that stand in the folder itself: a shard on another disk."""
    for child in sorted(folder.iterdir()):
        yield child
        if child.is_dir():
            yield from sorted(child.rglob("*"))


def _mirror_file(source: Path, target: Path) -> bool:
    fresh = not target.exists()
    with source.open("rb") as old, target.open("w+b" if fresh else "r+b") as new:
        size = os.fstat(old.fileno()).st_size
        changed = fresh or os.fstat(new.fileno()).st_size != size
        new.truncate(size)
        for start, end in _merged(_extents(old.fileno(), size) + _extents(new.fileno(), size)):
            for at in range(start, end, _BLOCK):
                old.seek(at)
                block = old.read(min(_BLOCK, end - at))
                new.seek(at)
                if new.read(len(block)) != block:
                    new.seek(at)
                    new.write(block)
                    changed = True
    return changed


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that touch or overlap as one."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


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
