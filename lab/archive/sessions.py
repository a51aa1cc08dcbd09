"""What one session of a campaign leaves for the next: the time that is used, and experiments that go on."""

from __future__ import annotations

import json

from move37.lab.archive.store import Archive
from move37.lab.records import ExperimentStatus


def keep_seconds(archive: Archive, campaign: int, seconds: float) -> None:
    """Store the campaign's clock. Not synced by itself: the next stage's commit syncs it too."""
    with archive.write(synced=False) as db:
        (facts,) = db.execute("SELECT facts FROM campaigns WHERE id = ?", (campaign,)).fetchone()
        known = json.loads(facts) | {"seconds": seconds}
        db.execute("UPDATE campaigns SET facts = ? WHERE id = ?", (json.dumps(known, ensure_ascii=False), campaign))


def reopen(archive: Archive, experiment: str, status: ExperimentStatus) -> None:
    """Set a status back to what it was before a limit ended the experiment; the stages stay as they are."""
    with archive.write() as db:
        db.execute("UPDATE experiments SET status = ?, reason = '' WHERE id = ?", (status.value, experiment))
