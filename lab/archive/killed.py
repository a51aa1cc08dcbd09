"""Campaigns whose process was killed: their row still says that they run; only a home that nobody holds disproves it.

As soon as another process holds the home, its lock disproves nothing any more: whoever takes it says so first.
"""

from __future__ import annotations

from pathlib import Path

from move37.lab.archive.shared import SharedConnection


def stop_killed(home: Path) -> None:
    """Under the home's lock: nothing runs here, whatever rows say. Raises `ArchiveError`.

    When they ended nobody knows, so that none is said to have.
    """
    with SharedConnection(home) as shared:
        if shared.read("campaigns", "SELECT 1 FROM campaigns WHERE status = 'running'"):
            with shared.write() as db:
                db.execute("UPDATE campaigns SET status = 'stopped' WHERE status = 'running'")
