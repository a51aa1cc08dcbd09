"""Campaigns whose process was killed: their row still says that they run, and only a lock that can be taken disproves it.

As soon as another process holds the home, the lock proves nothing about them any more: whoever takes it says so first.
"""

from __future__ import annotations

from pathlib import Path

from move37.lab.archive.shared import SharedConnection


def stop_killed(home: Path) -> None:
    """Under the home's lock: nothing runs here, whatever rows say. When they ended nobody knows. Raises `ArchiveError`."""
    with SharedConnection(home) as shared:
        if shared.read("campaigns", "SELECT 1 FROM campaigns WHERE status = 'running'"):
            with shared.write() as db:
                db.execute("UPDATE campaigns SET status = 'stopped' WHERE status = 'running'")
