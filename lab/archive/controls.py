"""Orders to a campaign from other processes: a table, from which the campaign takes them in order.

The page and `move37 attach` call `post` and wait for `find(id).answer`; the campaign calls `take` a few times a second
and `answer` when an order is carried out. Each order is taken once: of an approval and a veto of the same thing the
first taken counts, and the second is answered with what happened instead.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from move37.lab.archive.message import now
from move37.lab.archive.shared import SharedConnection

LONGEST = 100_000  # characters of one order's text; more is refused


class ControlKind(StrEnum):
    """Kinds of orders; the comments say what `text` and `experiment` hold."""

    SAY = "say"  # text: for the next speaker
    ASK = "ask"  # text: an agent's name, a blank, and the line for it
    PROPOSE = "propose"  # text: a hypothesis for the next experiment, or the source of a candidate
    APPROVE = "approve"  # experiment: the one that waits, or None for the oldest
    VETO = "veto"  # experiment as above; text: the reason
    PAUSE = "pause"
    RESUME = "resume"
    INTERRUPT = "interrupt"  # the speaker's call begins again, with what was typed meanwhile
    STOP = "stop"
    PIN = "pin"  # experiment: always among the parents from now on
    BAN = "ban"  # experiment, or text: a family that is no parent any more
    UNDO = "undo"  # the newest pin or ban is taken back
    BUDGET = "budget"  # text: new limits, as after /budget


VOID = "not carried out: the campaign had ended; ask again if you still want it"
KEPT = "the campaign had ended: kept for the agents, if it is resumed"
TOLD_AS_LINES = (ControlKind.SAY, ControlKind.ASK, ControlKind.PROPOSE)  # stored as lines of the conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One order and what became of it."""

    id: int
    campaign: int
    at: str  # ISO 8601, UTC
    user: str
    kind: ControlKind
    experiment: str | None
    text: str
    taken_at: str | None = None  # when the campaign read it
    answer: str | None = None  # one sentence; None: not carried out yet


class Controls(SharedConnection):
    """The orders of one home. Any number of processes may post; only the campaign takes and answers."""

    def post(
        self, campaign: int, kind: ControlKind, *, text: str = "", experiment: str | None = None, user: str = "person"
    ) -> int:
        """Ask for something; returns the order's id. Raises `ValueError` for a text that is too long."""
        if len(text) > LONGEST:
            raise ValueError(f"{len(text):,} characters are too many: write at most {LONGEST:,}")
        with self.write() as db:
            cursor = db.execute(
                "INSERT INTO controls (campaign, at, user, kind, experiment, text) VALUES (?, ?, ?, ?, ?, ?)",
                (campaign, now(), user, kind.value, experiment, text),
            )
        return int(cursor.lastrowid or 0)

    def take(self, campaign: int) -> tuple[Control, ...]:
        """Take the waiting orders, oldest first; each is returned once."""
        waiting = "SELECT 1 FROM controls WHERE campaign = ? AND taken_at IS NULL LIMIT 1"
        if not self.read("controls", waiting, (campaign,)):
            return ()
        with self.write() as db:
            rows = db.execute(
                "SELECT * FROM controls WHERE campaign = ? AND taken_at IS NULL ORDER BY id", (campaign,)
            ).fetchall()
            db.execute("UPDATE controls SET taken_at = ? WHERE campaign = ? AND taken_at IS NULL", (now(), campaign))
        return tuple(_control(row) for row in rows)

    def void(self, campaign: int) -> tuple[Control, ...]:
        """Answer the orders that nobody has taken instead of carrying them out; lines stay, they are for the agents."""
        waiting = [c for c in self.of(campaign) if c.taken_at is None]
        orders = [c for c in waiting if c.kind not in TOLD_AS_LINES]
        if waiting:
            told = [(None, KEPT, c.id) if c.kind in TOLD_AS_LINES else (now(), VOID, c.id) for c in waiting]
            with self.write() as db:
                sql = "UPDATE controls SET taken_at = ?, answer = ? WHERE id = ? AND taken_at IS NULL"
                db.executemany(sql, told)
        return tuple(orders)

    def answer(self, ident: int, text: str) -> None:
        """Store the answer to an order; the first answer stays."""
        with self.write() as db:
            db.execute("UPDATE controls SET answer = ? WHERE id = ? AND answer IS NULL", (text, ident))

    def find(self, ident: int) -> Control | None:
        """One order."""
        rows = self.read("controls", "SELECT * FROM controls WHERE id = ?", (ident,))
        return _control(rows[0]) if rows else None

    def of(self, campaign: int, *, after: int = 0) -> tuple[Control, ...]:
        """All orders of a campaign behind the id `after`, oldest first."""
        sql = "SELECT * FROM controls WHERE campaign = ? AND id > ? ORDER BY id"
        return tuple(_control(row) for row in self.read("controls", sql, (campaign, after)))


def _control(row: sqlite3.Row) -> Control:
    return Control(
        id=row["id"],
        campaign=row["campaign"],
        at=row["at"],
        user=row["user"],
        kind=ControlKind(row["kind"]),
        experiment=row["experiment"],
        text=row["text"],
        taken_at=row["taken_at"],
        answer=row["answer"],
    )
