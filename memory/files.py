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
    wanted = {name: entry for name, entry in _below(source) if entry.name != LOCK and ASIDE not in name}
    there = dict(_below(target))
    changed = False
    for name, place in reversed(there.items()):  # what lies deepest first
        entry = wanted.get(name)
        if entry is None or entry.is_dir() != place.is_dir():
            (os.rmdir if place.is_dir() else os.unlink)(place.path)
            changed = True
    for name, entry in wanted.items():
        at = os.path.join(target, name)
        if entry.is_dir():
            os.makedirs(at, exist_ok=True)
        elif entry.is_file():
            changed |= _mirror_file(entry.path, at)
    return changed


def _below(folder: str | Path, prefix: str = "", *, links: bool = True) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything by its name below the folder, parents first; of links to folders those that stand in the folder itself
    are gone into: a shard on another disk. By strings, since paths as objects cost more than the copy."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        yield prefix + entry.name, entry
        if entry.is_dir(follow_symlinks=links):
            yield from _below(entry.path, f"{prefix}{entry.name}/", links=False)


def _mirror_file(source: str, target: str) -> bool:
    fresh = not os.path.exists(target)
    with open(source, "rb", buffering=0) as old, open(target, "w+b" if fresh else "r+b", buffering=0) as new:
        size = os.fstat(old.fileno()).st_size
        changed = fresh or os.fstat(new.fileno()).st_size != size
        if changed:
            new.truncate(size)
        for start, end in _merged(_extents(old.fileno(), size) + _extents(new.fileno(), size)):
            for at in range(start, end, _BLOCK):
                block = os.pread(old.fileno(), min(_BLOCK, end - at), at)
                if os.pread(new.fileno(), len(block), at) != block:
                    changed = True
                    written = 0
                    while written < len(block):
                        written += os.pwrite(new.fileno(), block[written:], at + written)
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
