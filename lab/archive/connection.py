"""The archive's file: opened, checked, upgraded; a damaged one is copied before anything else."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from move37.lab.archive.schema import STEPS, upgrade
from move37.lab.errors import ArchiveCorrupt, ArchiveEmpty, ArchiveError, ArchiveUnwritable


def connect(path: Path, *, readonly: bool) -> sqlite3.Connection:
    """The file, upgraded to the newest schema unless `readonly`.

    Raises `ArchiveCorrupt` when it is damaged (a copy is made and named), `ArchiveError` when it is newer than we are.
    """
    try:
        if readonly:
            connection = sqlite3.connect(reading_uri(path), uri=True, isolation_level=None)
        else:
            connection = sqlite3.connect(path, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA busy_timeout = 5000")
        if not readonly:
            _sound(connection)
            upgrade(connection)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.OperationalError as error:
        if not _is_damage(error):
            raise ArchiveUnwritable(f"{path} cannot be opened ({error}): is the disk full or read-only?") from error
        raise _damaged(path, error) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error
    if readonly and version == 0:  # another process is creating it just now
        connection.close()
        raise ArchiveEmpty(f"no campaign has run in {path.parent} yet: start one with `move37 run`")
    if version > len(STEPS):
        raise ArchiveError(f"{path} was written by a newer move37 (schema {version}): update move37")
    return connection


def reading_uri(path: Path) -> str:
    """How the file is opened for reading: on a read-only file system nobody writes, and nothing can be laid beside."""
    pending = path.with_name(f"{path.name}-wal")
    still = is_read_only(path.parent) and not (pending.exists() and pending.stat().st_size)
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"


def is_read_only(folder: Path) -> bool:
    """Whether its file system is mounted so."""
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _is_damage(error: sqlite3.OperationalError) -> bool:
    """Whether the file is damaged, and not the disk full or read-only or the file busy."""
    words = str(error)
    return not any(word in words for word in ("full", "readonly", "unable to open", "locked", "disk I/O"))


def _damaged(path: Path, error: sqlite3.DatabaseError) -> ArchiveCorrupt:
    return ArchiveCorrupt(
        f"{path} is damaged ({error}); {keep_copy(path)}. Put a backup back, or start anew with another --home"
    )


def _sound(connection: sqlite3.Connection) -> None:
    answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if answer != "ok":
        raise sqlite3.DatabaseError(str(answer))


def keep_copy(path: Path) -> str:
    """Copy a damaged archive once; returns the sentence that names the copy."""
    stamp = int(path.stat().st_mtime)
    copy = path.with_name(f"{path.name}.damaged-{stamp}")
    try:
        if not copy.exists():
            for suffix in ("", "-wal"):
                source = path.with_name(path.name + suffix)
                if source.exists():
                    shutil.copy2(source, copy.with_name(copy.name + suffix))
    except OSError as error:
        return f"no copy could be made ({error})"
    return f"a copy is kept at {copy}"
