"""The laboratory's principles, revision by revision; struck ones are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from move37.lab.archive.codec import decode, encode
from move37.lab.archive.message import now
from move37.lab.archive.store import Archive
from move37.lab.records import Principle


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """The principles after one generation."""

    campaign: int
    at: str  # ISO 8601, UTC
    principles: tuple[Principle, ...]  # those that were struck just then included


def keep(archive: Archive, campaign: int, principles: Sequence[Principle]) -> None:
    """Store a revision, unless the newest one says the same."""
    found = history(archive)
    if found and found[-1].principles == tuple(principles):
        return
    with archive.write() as db:
        db.execute(
            "INSERT INTO principles (campaign, at, payload) VALUES (?, ?, ?)",
            (campaign, now(), json.dumps(encode(principles), ensure_ascii=False)),
        )


def history(archive: Archive) -> tuple[Revision, ...]:
    """All revisions of the home, oldest first."""
    if not archive.has("principles"):
        return ()
    rows = archive.read("SELECT campaign, at, payload FROM principles ORDER BY id")
    return tuple(
        Revision(
            campaign=row["campaign"],
            at=row["at"],
            principles=tuple(decode(Principle, entry) for entry in json.loads(row["payload"])),
        )
        for row in rows
    )


def standing(archive: Archive) -> tuple[Principle, ...]:
    """The newest revision's principles that are not struck, strongest first."""
    found = history(archive)
    held = [p for p in found[-1].principles if not p.struck] if found else []
    return tuple(sorted(held, key=lambda p: -p.strength))
