"""Openings of sealed text: each is stored before it happens."""

from __future__ import annotations

from dataclasses import dataclass

from move37.lab.archive.message import now
from move37.lab.archive.store import Archive


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOpening:
    """One opening of sealed text."""

    experiment: str
    corpus: str  # digest
    purpose: str
    at: str  # ISO 8601, UTC


def log_opening(archive: Archive, *, experiment: str, corpus: str, purpose: str) -> int:
    """Store that sealed text is about to be opened; the number of this corpus's openings, this one included."""
    with archive.write() as db:
        db.execute(
            "INSERT INTO openings (experiment, corpus, purpose, at) VALUES (?, ?, ?, ?)",
            (experiment, corpus, purpose, now()),
        )
    return sum(o.corpus == corpus for o in openings(archive))


def openings(archive: Archive) -> tuple[TextOpening, ...]:
    """All openings of the home, oldest first."""
    if not archive.has("openings"):
        return ()
    rows = archive.read("SELECT experiment, corpus, purpose, at FROM openings ORDER BY id")
    return tuple(
        TextOpening(experiment=r["experiment"], corpus=r["corpus"], purpose=r["purpose"], at=r["at"]) for r in rows
    )
