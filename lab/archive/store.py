"""The archive: one SQLite file (WAL) in the home that holds every attempt, failures first of all.

Read in this order: `Archive.open`, `begin_campaign`, `begin_experiment`, `finish_stage` (the durable step: stage,
status in one transaction, synced before it returns), then the readers. Standard library only, so that a
reading command and the first second of a run need no torch. One writer a home (`HomeLock`); any number of readers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from move37.lab.archive.assemble import experiment_from
from move37.lab.archive.codec import decode, encode
from move37.lab.archive.connection import connect, keep_copy
from move37.lab.archive.lock import HomeLock
from move37.lab.archive.message import PROPOSED, UNHEARD, Message, now
from move37.lab.errors import ArchiveCorrupt, ArchiveError, ArchiveUnwritable, UnknownExperiment
from move37.lab.records import Brief, Experiment, ExperimentStatus, Role, StageRecord

FILE = "archive.sqlite"
_RANK = {
    ExperimentStatus.RUNNING: 0,
    ExperimentStatus.MEASURED: 1,
    ExperimentStatus.PROMOTED: 2,
    ExperimentStatus.CONFIRMED: 3,
    ExperimentStatus.FAILED: 4,
    ExperimentStatus.REJECTED: 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One run of the loop under one brief."""

    id: int
    brief: Brief
    status: str  # running, finished, stopped
    started_at: str
    finished_at: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)  # schedule, what was shortened, versions, costs


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call of a model."""

    role: str
    model: str
    prompt_version: str
    prompt_tokens: int
    completion_tokens: int
    cost: float  # US dollars; 0 where no price is known
    seconds: float
    cached_tokens: int = 0  # of the prompt tokens, as far as the provider said
    attempts: int = 1  # answers, invalid ones included
    experiment: str | None = None  # that it was made for; None: for none. Filled in by the archive


class Archive:
    """The truth about what was tried."""

    def __init__(self, connection: sqlite3.Connection, path: Path, lock: HomeLock | None) -> None:
        self._db = connection
        self.path = path
        self._lock = lock
        self._assembled: dict[str, tuple[tuple[Any, ...], Experiment]] = {}  # by id, with the rows it was made from

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
            return cls(connect(path, readonly=False), path, lock)
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

    # Writing -------------------------------------------------------------------------------------------------

    def begin_campaign(self, brief: Brief, facts: Mapping[str, Any] | None = None) -> Campaign:
        """Commit the campaign's row: the first thing that a run does."""
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

        What a person said while no experiment was there belongs to the first candidate that begins after it.
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
                    db.execute(f"UPDATE experiments SET {column} = ? WHERE id = ?", (value, experiment))
            if reached is not None:
                db.execute("UPDATE experiments SET rung = max(rung, ?) WHERE id = ?", (reached, experiment))

    def begin_conversation(self, experiment: str, stage: str) -> None:
        """Forget the agents' lines of an unfinished stage that is about to be repeated; a person's stay."""
        with self.write(synced=False) as db:
            db.execute("DELETE FROM lines WHERE experiment = ? AND stage = ? AND person = 0", (experiment, stage))

    def say(self, campaign: int, message: Message) -> None:
        """Store something that was said."""
        with self.write(synced=message.user) as db:
            self._say(db, campaign, message)

    def heard(self, campaign: int, message: Message) -> None:
        """A person's line or proposal, stored when it was typed, reached somebody: it is that experiment's now."""
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
                " completion_tokens, cost, seconds, at, cached_tokens, attempts)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                ),
            )

    # Reading -------------------------------------------------------------------------------------------------

    def campaigns(self) -> tuple[Campaign, ...]:
        """All campaigns of this home, oldest first."""
        rows = self.read("SELECT id, brief, status, started_at, finished_at, facts FROM campaigns ORDER BY id")
        return tuple(_campaign(r) for r in rows)

    def campaign(self, ident: int) -> Campaign:
        """One campaign. Raises `ArchiveError` for an unknown number."""
        for campaign in self.campaigns():
            if campaign.id == ident:
                return campaign
        raise ArchiveError(f"no campaign {ident} in {self.path}: see `move37 list --all`")

    def experiments(self, campaign: int | None = None) -> tuple[Experiment, ...]:
        """The experiments of one campaign (or all), baselines first, in order."""
        where, values = ("WHERE campaign = ?", (campaign,)) if campaign is not None else ("", ())
        rows = self.read(f"SELECT * FROM experiments {where} ORDER BY campaign, role, number", values)
        return self._assemble(rows, where.replace("campaign", "e.campaign"), values)

    def experiment(self, ident: str) -> Experiment:
        """One experiment. Raises `UnknownExperiment`."""
        rows = self.read("SELECT * FROM experiments WHERE id = ?", (ident,))
        if not rows:
            raise UnknownExperiment(f"no experiment {ident!r} here: see `move37 list`")
        return self._assemble(rows, "WHERE e.id = ?", (ident,))[0]

    def _assemble(self, rows: Sequence[sqlite3.Row], where: str, values: tuple[Any, ...]) -> tuple[Experiment, ...]:
        """Stages are written once, so an experiment is decoded again only when its row or its set of stages changed."""
        stages: dict[str, list[int]] = {}
        for ident, number in self.read(
            f"SELECT s.experiment, s.rowid FROM stages s JOIN experiments e ON e.id = s.experiment {where}"
            " ORDER BY s.rowid",
            values,
        ):
            stages.setdefault(ident, []).append(number)
        found = []
        for row in rows:
            numbers = stages.get(row["id"], [])
            made_from = (*row, *numbers)
            known = self._assembled.get(row["id"])
            if known is None or known[0] != made_from:
                known = self._assembled[row["id"]] = made_from, experiment_from(row, self._stages(numbers))
            found.append(known[1])
        return tuple(found)

    def stage(self, experiment: str, stage: str, *, rung: int = 0, seed: int = 0) -> Any | None:
        """The payload of a finished stage, or None."""
        rows = self.read(
            "SELECT payload FROM stages WHERE experiment = ? AND stage = ? AND rung = ? AND seed = ?",
            (experiment, stage, rung, seed),
        )
        return json.loads(rows[0]["payload"]) if rows else None

    def lines(self, experiment: str | None = None, *, campaign: int | None = None) -> tuple[Message, ...]:
        """What was said in an experiment, or in a whole campaign, in order."""
        where, values = ("experiment = ?", (experiment,)) if experiment else ("campaign = ?", (campaign,))
        rows = self.read(f"SELECT * FROM lines WHERE {where} ORDER BY id", values)
        return tuple(
            Message(
                id=_id(r),
                source=r["source"],
                to=r["addressee"],
                text=r["text"],
                at=r["at"],
                user=bool(r["person"]),
                experiment=r["experiment"],
                stage=r["stage"],
            )
            for r in rows
        )

    def spent(self, campaign: int) -> tuple[int, float]:
        """Tokens and US dollars of a campaign's model calls."""
        row = self.read(
            "SELECT coalesce(sum(prompt_tokens + completion_tokens), 0), coalesce(sum(cost), 0)"
            " FROM calls WHERE campaign = ?",
            (campaign,),
        )[0]
        return int(row[0]), float(row[1])

    def calls(self, campaign: int) -> tuple[ModelCall, ...]:
        """Every model call of a campaign, oldest first."""
        rows = self.read("SELECT * FROM calls WHERE campaign = ? ORDER BY id", (campaign,))
        return tuple(ModelCall(**{f.name: row[f.name] for f in fields(ModelCall)}) for row in rows)

    @staticmethod
    def _say(db: sqlite3.Connection, campaign: int, said: Message) -> None:
        db.execute(
            "INSERT INTO lines (campaign, experiment, stage, source, addressee, text, at, person, message)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (campaign, said.experiment, said.stage, said.source, said.to, said.text, said.at, int(said.user), said.id),
        )

    def _stages(self, numbers: Sequence[int]) -> list[StageRecord]:
        rows = self.read(
            f"SELECT * FROM stages WHERE rowid IN ({','.join('?' * len(numbers))}) ORDER BY rowid", tuple(numbers)
        )
        return [
            StageRecord(
                stage=r["stage"],
                rung=r["rung"],
                seed=r["seed"],
                finished_at=r["finished_at"],
                payload=json.loads(r["payload"]),
            )
            for r in rows
        ]

    def has(self, table: str) -> bool:
        """Whether this file has a table: one that an older move37 wrote and that is only read may lack it."""
        return bool(self.read("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)))

    def read(self, sql: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """Rows of a query, for the modules beside this one. Raises `ArchiveCorrupt`."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise ArchiveCorrupt(
                f"{self.path} cannot be read ({error}); {keep_copy(self.path)}. Put back a backup, or start anew with "
                "another --home"
            ) from error

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, for the modules beside this one.

        Without `synced` a kill loses nothing, a power cut may, up to the next synced one: for what an unfinished stage
        says again anyway.
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


def _id(row: sqlite3.Row) -> str:
    columns = row.keys()  # a file of an older version, read only, has no ids of messages
    return (row["message"] if "message" in columns else "") or f"line-{row['id']}"


def _campaign(row: sqlite3.Row) -> Campaign:
    return Campaign(
        id=row["id"],
        brief=decode(Brief, json.loads(row["brief"])),
        status=row["status"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        facts=json.loads(row["facts"]),
    )


def _json(value: object) -> str:
    return json.dumps(encode(value), ensure_ascii=False)
