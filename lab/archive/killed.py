"""Campaigns whose process was killed: their row still says that they run; only a home that nobody holds disproves it.

As soon as another process holds the home, its lock disproves nothing any more: whoever takes it says so first. Orders
that such a process had taken and not answered are answered likewise.
"""

from __future__ import annotations

from pathlib import Path

from move37.lab.archive.shared import SharedConnection

LOST = "the campaign was killed when it had taken this, and it may not be done: look, and ask again"
RUNNING, TAKEN = "status = 'running'", "taken_at IS NOT NULL AND answer IS NULL"


def stop_killed(home: Path) -> None:
    """Under the home's lock: nothing runs here, whatever rows say. Raises `ArchiveError`.

    When they ended nobody knows, so that none is said to have.
    """
    with SharedConnection(home) as shared:
        killed = shared.read("campaigns", f"SELECT 1 FROM campaigns WHERE {RUNNING}")
        if killed or shared.read("controls", f"SELECT 1 FROM controls WHERE {TAKEN}"):
            with shared.write() as db:
                db.execute(f"UPDATE campaigns SET status = 'stopped' WHERE {RUNNING}")
                db.execute(f"UPDATE controls SET answer = ? WHERE {TAKEN}", (LOST,))
