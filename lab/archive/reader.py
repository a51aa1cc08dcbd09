"""What the archive holds, read back as records. Standard library only; `store.py` adds writing."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from move37.lab.archive.assemble import experiment_from
from move37.lab.archive.codec import decode
from move37.lab.archive.connection import keep_copy
from move37.lab.archive.message import Message
from move37.lab.errors import ArchiveCorrupt, ArchiveError, UnknownExperiment
from move37.lab.records import Brief, Experiment, StageRecord

IDENTITY = "identity"  # the fact of a campaign that was drawn when it began


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One run of the loop under one brief."""

    id: int
    brief: Brief
    status: str  # running, finished, stopped
    started_at: str
    finished_at: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)  # schedule, what was shortened, versions, costs

    @property
    def comparable_by(self) -> tuple[str, str]:
        """The task and the digest of its data: numbers of campaigns compare where both are equal."""
        return self.brief.task, str(self.facts.get("task_digest") or "")

    @property
    def identity(self) -> str:
        """What tells it from every home's other campaigns: numbers begin at 1 in each home."""
        known = f"{self.started_at} {self.facts.get(IDENTITY, '')}"
        return hashlib.sha256(known.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call of a model."""

    role: str
    model: str
    prompt_version: str
    prompt_tokens: int
    completion_tokens: int
    cost: float  # US dollars; 0 where no price is known
    seconds: float  # of the call itself
    cached_tokens: int = 0  # of the prompt tokens, as far as the provider said
    attempts: int = 1  # answers, invalid ones included
    waited: float = 0.0  # seconds, for a turn at the model's server and while it was away
    experiment: str | None = None  # that it was made for; None: for none. Filled in by the archive


class ArchiveReader:
    """Campaigns, experiments and what was said in them."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path
        self._assembled: dict[str, tuple[tuple[Any, ...], Experiment]] = {}  # by id, with the rows it was made from

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
        """Decoded again only when an experiment's row or its set of stages changed: a stage is written once."""
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
        stored = set(rows[0].keys()) if rows else set()  # an older file, which is only read, has fewer
        known = [f.name for f in fields(ModelCall) if f.name in stored]
        return tuple(ModelCall(**{name: row[name] for name in known}) for row in rows)

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
