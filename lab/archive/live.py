"""The present state of a campaign, for other processes: training curves, open requests, the clock.

`Recorder` writes it while a campaign runs; `LiveReader` reads it, also afterwards. Experiments hold none of it, so that
a power cut, which may lose its last second, loses no measurement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from move37.lab.archive.message import now
from move37.lab.archive.shared import SharedConnection

EVERY = 10  # steps between two stored points of a curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The training loss of one run, as the candidate's own process reported it."""

    experiment: str
    rung: str  # name of the rung, e.g. "lm@100"
    seed: int
    steps: tuple[int, ...]  # optimiser steps, rising
    losses: tuple[float, ...]  # in the primary metric's unit
    learning_rate: float = 0.0
    fresh: bool = False  # on a confirming seed


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRequest:
    """A question to the user that a campaign waits on."""

    experiment: str
    kind: str  # hypothesis, code, promotion
    text: str
    at: str  # ISO 8601, UTC
    until: str | None = None  # when it goes on without an answer
    answer: str | None = None  # one sentence; None: it waits


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """One sentence that a campaign told the user."""

    at: str  # ISO 8601, UTC; "" where it was not written down
    text: str


def notices_of(state: Mapping[str, Any]) -> tuple[StoredNotice, ...]:
    """The newest notices of a campaign's state, oldest first. Earlier versions stored sentences without a time."""
    found = state.get("notices") or ()
    return tuple(
        StoredNotice(at=str(n.get("at", "")), text=str(n.get("text", "")))
        if isinstance(n, dict)
        else StoredNotice(at="", text=str(n))
        for n in found
    )


class Recorder(SharedConnection):
    """Writes the state. Only the campaign's process may; any of its threads."""

    def __init__(self, home: Path, campaign: int) -> None:
        """Raises `ArchiveError` when there is no archive in `home`."""
        super().__init__(home)
        self._campaign = campaign

    def point(
        self, experiment: str, rung: str, seed: int, step: int, loss: float, *, rate: float = 0.0, fresh: bool = False
    ) -> None:
        """One point of a curve; a step that is there already is overwritten, as a repeated run does."""
        with self.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO curves VALUES (?, ?, ?, ?, ?, ?, ?)",
                (experiment, rung, seed, rate, int(fresh), step, loss),
            )

    def state(self, **facts: Any) -> None:
        """Facts about this moment (phase, done, seconds_left, paused, ...), over those told before."""
        with self.write() as db:
            row = db.execute("SELECT state FROM live WHERE campaign = ?", (self._campaign,)).fetchone()
            known = (json.loads(row[0]) if row else {}) | facts
            db.execute("INSERT OR REPLACE INTO live VALUES (?, ?, ?)", (self._campaign, now(), json.dumps(known)))

    def ask(self, experiment: str, kind: str, text: str, *, until: str | None = None) -> None:
        """A question is open from now on."""
        with self.write() as db:
            db.execute(
                "INSERT INTO requests (campaign, experiment, kind, text, at, until) VALUES (?, ?, ?, ?, ?, ?)",
                (self._campaign, experiment, kind, text, now(), until),
            )

    def postpone(self, since: datetime) -> None:
        """No time of the open requests has passed from `since` until now: they go on by themselves so much later."""
        with self.write() as db:
            for row in db.execute(
                "SELECT id, at, until FROM requests WHERE campaign = ? AND answer IS NULL AND until IS NOT NULL",
                (self._campaign,),
            ).fetchall():
                stood = datetime.now(UTC) - max(since, datetime.fromisoformat(row["at"]))
                until = (datetime.fromisoformat(row["until"]) + stood).isoformat(timespec="seconds")
                db.execute("UPDATE requests SET until = ? WHERE id = ?", (until, row["id"]))

    def close_request(self, experiment: str, answer: str) -> None:
        """Whatever was asked about `experiment` is answered."""
        with self.write() as db:
            db.execute(
                "UPDATE requests SET answer = ? WHERE campaign = ? AND experiment = ? AND answer IS NULL",
                (answer, self._campaign, experiment),
            )

    def close_requests(self, answer: str) -> None:
        """Close all open requests; done when a campaign begins and when it ends."""
        with self.write() as db:
            db.execute("UPDATE requests SET answer = ? WHERE campaign = ? AND answer IS NULL", (answer, self._campaign))


class LiveReader(SharedConnection):
    """Curves, requests and the state of a home's campaigns; all empty for an archive that is older than they are."""

    def __init__(self, home: Path) -> None:
        """Raises `ArchiveError` when there is no archive in `home`."""
        super().__init__(home, readonly=True)

    def curves(self, campaign: int) -> tuple[Curve, ...]:
        """The curves of a campaign's experiments, in the order in which the experiments began."""
        rows = self.read(
            "curves",
            "SELECT c.* FROM curves c JOIN experiments e ON e.id = c.experiment WHERE e.campaign = ?"
            " ORDER BY e.role, e.number, c.rung, c.seed, c.rate, c.fresh, c.step",
            (campaign,),
        )
        found: dict[tuple[str, str, int, float, bool], list[tuple[int, float]]] = {}
        for row in rows:
            run = (row["experiment"], row["rung"], row["seed"], row["rate"], bool(row["fresh"]))
            found.setdefault(run, []).append((row["step"], row["loss"]))
        return tuple(
            Curve(
                experiment=experiment,
                rung=rung,
                seed=seed,
                steps=tuple(step for step, _ in points),
                losses=tuple(loss for _, loss in points),
                learning_rate=rate,
                fresh=fresh,
            )
            for (experiment, rung, seed, rate, fresh), points in found.items()
        )

    def points(self, campaign: int) -> int:
        """How many points the curves of a campaign have."""
        sql = "SELECT count(*) FROM curves c JOIN experiments e ON e.id = c.experiment WHERE e.campaign = ?"
        rows = self.read("curves", sql, (campaign,))
        return int(rows[0][0]) if rows else 0

    def state(self, campaign: int) -> Mapping[str, Any]:
        """The newest state, with its time as "at"; empty where none was written."""
        rows = self.read("live", "SELECT at, state FROM live WHERE campaign = ?", (campaign,))
        return dict(json.loads(rows[0]["state"]), at=rows[0]["at"]) if rows else {}

    def requests(self, campaign: int) -> tuple[StoredRequest, ...]:
        """The questions that wait for an answer, oldest first."""
        sql = "SELECT * FROM requests WHERE campaign = ? AND answer IS NULL ORDER BY id"
        return tuple(
            StoredRequest(experiment=r["experiment"], kind=r["kind"], text=r["text"], at=r["at"], until=r["until"])
            for r in self.read("requests", sql, (campaign,))
        )
