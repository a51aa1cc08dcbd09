"""The archive: one SQLite file (WAL) in the home that holds every experiment, also failed ones.

Read in this order: `Archive.open`, `begin_campaign`, `begin_experiment`, `finish_stage` (the durable step: stage,
status in one transaction, synced before it returns); readers stand in `reader.py`. Standard library only, so that a
reading command and the first second of a run need no torch. One writer a home (`HomeLock`); any number of readers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from move37.lab.archive.codec import encode, storable
from move37.lab.archive.connection import connect
from move37.lab.archive.killed import stop_killed
from move37.lab.archive.lock import HomeLock
from move37.lab.archive.message import PROPOSED, UNHEARD, Message, now
from move37.lab.archive.reader import ArchiveReader
from move37.lab.archive.reader import Campaign as Campaign
from move37.lab.archive.reader import ModelCall as ModelCall
from move37.lab.errors import ArchiveError, ArchiveUnwritable, UnknownExperiment
from move37.lab.records import Brief, Experiment, ExperimentStatus, Role

FILE = "archive.sqlite"
_RANK = {
    ExperimentStatus.RUNNING: 0,
    ExperimentStatus.MEASURED: 1,
    ExperimentStatus.PROMOTED: 2,
    ExperimentStatus.CONFIRMED: 3,
    ExperimentStatus.FAILED: 4,
    ExperimentStatus.REJECTED: 4,
}


class Archive(ArchiveReader):
    """All experiments of a home, for one writer."""

    def __init__(self, connection: sqlite3.Connection, path: Path, lock: HomeLock | None) -> None:
        super().__init__(connection, path)
        self._lock = lock

    @classmethod
    def open(cls, home: Path, *, readonly: bool = False) -> Archive:
        """Open (and create, unless `readonly`) the archive of `home`.

        Raises `ArchiveBusy` when another campaign writes here, `ArchiveCorrupt` when the file is damaged (a copy is
        made and named), `ArchiveError` when there is nothing to read.
        """
        path = home / FILE
        if readonly:
            if not path.is_file():
                raise ArchiveError(f"no campaign has run in {home} yet: start one with `move37 run`")
            return cls(connect(path, readonly=True), path, None)
        home.mkdir(parents=True, exist_ok=True)
        lock = HomeLock.acquire(home)
        try:
            opened = cls(connect(path, readonly=False), path, lock)
            stop_killed(home)
            return opened
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Close the file and let go of the home."""
        self._db.close()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def begin_campaign(self, brief: Brief, facts: Mapping[str, Any] | None = None) -> Campaign:
        """Commit the campaign's row, before anything else of a run."""
        with self.write() as db:
            cursor = db.execute(
                "INSERT INTO campaigns (brief, status, started_at, facts) VALUES (?, 'running', ?, ?)",
                (_json(brief), now(), _json(facts or {})),
            )
        return self.campaign(int(cursor.lastrowid or 0))

    def update_campaign(
        self, campaign: int, *, status: str | None = None, brief: Brief | None = None, **facts: Any
    ) -> Campaign:
        """Change the status (finished and stopped set the end) or the brief, and add facts."""
        known = dict(self.campaign(campaign).facts) | {k: encode(v) for k, v in facts.items()}
        with self.write() as db:
            db.execute("UPDATE campaigns SET facts = ? WHERE id = ?", (_json(known), campaign))
            if brief is not None:
                db.execute("UPDATE campaigns SET brief = ? WHERE id = ?", (_json(brief), campaign))
            if status:
                ended = None if status == "running" else now()
                db.execute("UPDATE campaigns SET status = ?, finished_at = ? WHERE id = ?", (status, ended, campaign))
        return self.campaign(campaign)

    def begin_experiment(
        self,
        campaign: int,
        number: int,
        role: Role,
        *,
        name: str = "",
        family: str = "",
        parents: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Experiment:
        """Commit an experiment's row, or give back the one that is already there.

        Messages from before the first experiment are given to the first candidate that begins after them.
        """
        label = name.replace(" ", "_") if role is Role.BASELINE else f"{number:03d}"
        ident = f"c{campaign}-{label}"
        with self.write() as db:
            db.execute(
                "INSERT OR IGNORE INTO experiments (id, campaign, number, role, status, parents, name, family,"
                " created_at, environment) VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?)",
                (ident, campaign, number, role.value, _json(parents), name, family, now(), _json(environment or {})),
            )
            if role is Role.CANDIDATE:
                db.execute(
                    "UPDATE lines SET experiment = ? WHERE experiment IS NULL AND campaign = ? AND stage != ?",
                    (ident, campaign, PROPOSED),
                )
        return self.experiment(ident)

    def finish_stage(
        self,
        experiment: str,
        stage: str,
        payload: object,
        *,
        rung: int = 0,
        seed: int = 0,
        status: ExperimentStatus | None = None,
        name: str | None = None,
        family: str | None = None,
        reason: str | None = None,
        reached: int | None = None,
        environment: Mapping[str, str] | None = None,
        parents: tuple[str, ...] | None = None,
    ) -> None:
        """Store one finished stage with everything it changed, in one synced transaction.

        A stage that is already there is left as it is (nothing runs twice). A status only moves forward.
        """
        with self.write() as db:
            db.execute(
                "INSERT OR IGNORE INTO stages VALUES (?, ?, ?, ?, ?, ?)",
                (experiment, stage, rung, seed, now(), _json(payload)),
            )
            row = db.execute("SELECT status, environment FROM experiments WHERE id = ?", (experiment,)).fetchone()
            if row is None:
                raise UnknownExperiment(f"no experiment {experiment!r} in {self.path}")
            changes: dict[str, Any] = {"name": name, "family": family, "reason": reason}
            if parents is not None:
                changes["parents"] = _json(parents)
            if status is not None and _RANK[status] > _RANK[ExperimentStatus(row[0])]:
                changes["status"] = status.value
            if environment:
                changes["environment"] = _json(json.loads(row[1]) | dict(environment))
            for column, value in changes.items():
                if value is not None:
                    db.execute(f"UPDATE experiments SET {column} = ? WHERE id = ?", (storable(value), experiment))
            if reached is not None:
                db.execute("UPDATE experiments SET rung = max(rung, ?) WHERE id = ?", (reached, experiment))

    def begin_conversation(self, experiment: str, stage: str) -> None:
        """Delete the agents' messages of an unfinished stage that is repeated; the user's stay."""
        with self.write(synced=False) as db:
            db.execute("DELETE FROM lines WHERE experiment = ? AND stage = ? AND person = 0", (experiment, stage))

    def say(self, campaign: int, message: Message) -> None:
        """Store something that was said."""
        with self.write(synced=message.user) as db:
            self._say(db, campaign, message)

    def heard(self, campaign: int, message: Message) -> None:
        """Mark a user's stored line or proposal as delivered, in the experiment that got it."""
        with self.write() as db:
            found = db.execute(
                "UPDATE lines SET experiment = ?, stage = ?, addressee = ?"
                " WHERE campaign = ? AND person = 1 AND stage IN (?, ?) AND message = ?",
                (message.experiment, message.stage, message.to, campaign, UNHEARD, PROPOSED, message.id),
            )
            if found.rowcount == 0:
                self._say(db, campaign, message)

    def log_call(self, campaign: int, experiment: str | None, call: ModelCall) -> None:
        """Store what one model call cost."""
        with self.write(synced=False) as db:
            db.execute(
                "INSERT INTO calls (campaign, experiment, role, model, prompt_version, prompt_tokens,"
                " completion_tokens, cost, seconds, at, cached_tokens, attempts,"
                " waited) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    campaign,
                    experiment,
                    call.role,
                    call.model,
                    call.prompt_version,
                    call.prompt_tokens,
                    call.completion_tokens,
                    call.cost,
                    call.seconds,
                    now(),
                    call.cached_tokens,
                    call.attempts,
                    call.waited,
                ),
            )

    @staticmethod
    def _say(db: sqlite3.Connection, campaign: int, said: Message) -> None:
        words = storable(said.source), said.to, storable(said.text)
        db.execute(
            "INSERT INTO lines (campaign, experiment, stage, source, addressee, text, at, person, message)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (campaign, said.experiment, said.stage, *words, said.at, int(said.user), said.id),
        )

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, for the modules beside this one.

        Without `synced` a kill loses nothing, but a power cut may lose what was written since the last synced one: for
        what an unfinished stage would write again.
        """
        try:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
        except sqlite3.DatabaseError as error:
            raise ArchiveUnwritable(
                f"{self.path} cannot be written ({error}): is the disk full or read-only?"
            ) from error


def _json(value: object) -> str:
    return storable(json.dumps(encode(value), ensure_ascii=False))
