"""A connection to an archive that another process may write: short transactions, without the home's lock.

The campaign owns the home's lock and writes experiments; other processes (the page, a second terminal) write
only rows that no experiment is made of: `controls.py` (what people want) and `live.py` (curves, what happens now).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from move37.lab.archive.connection import reading_uri
from move37.lab.archive.schema import upgrade
from move37.lab.errors import ArchiveCorrupt, ArchiveError, ArchiveUnwritable

FILE = "archive.sqlite"
BUSY = 10_000  # milliseconds that a writer waits for another one's transaction


class SharedConnection:
    """Reads and short writes from any thread. An older archive is brought up to date by the first write."""

    def __init__(self, home: Path, *, readonly: bool = False) -> None:
        """Raises `ArchiveError` when there is no archive in `home`, `ArchiveCorrupt` when it is none."""
        self.path = home / FILE
        self._lock = threading.Lock()
        self._ready = False
        if not self.path.is_file():
            raise ArchiveError(f"no campaign has run in {home} yet: start one with `move37 run`")
        try:
            uri = reading_uri(self.path) if readonly else f"{self.path.absolute().as_uri()}?mode=rw"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute(f"PRAGMA busy_timeout = {BUSY}")
            if not readonly:
                self._db.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.DatabaseError as error:
            raise ArchiveCorrupt(f"{self.path} cannot be opened ({error})") from error

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self, table: str, sql: str, values: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Rows of a query over `table`; none when the archive is older than the table."""
        with self._lock:
            try:
                named = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
                if self._db.execute(named, (table,)).fetchone() is None:
                    return []
                return self._db.execute(sql, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise ArchiveCorrupt(f"{self.path} cannot be read ({error})") from error

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises `ArchiveError` when the disk is full, read-only, or busy for too long."""
        with self._lock:
            try:
                if not self._ready:
                    upgrade(self._db)
                    self._ready = True
                with self._db:
                    self._db.execute("BEGIN IMMEDIATE")
                    yield self._db
            except sqlite3.DatabaseError as error:
                raise ArchiveUnwritable(
                    f"{self.path} cannot be written ({error}): is the disk full or read-only?"
                ) from error
