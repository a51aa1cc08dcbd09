"""The archive's tables, as numbered steps that are never edited after release: add a function, never change one.

`upgrade` brings a file of any older version to the newest; each step is one transaction.
Gates and measurements are views over the stored stages, so that no number is kept twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable


def upgrade(connection: sqlite3.Connection) -> None:
    """Apply what is missing. Raises `sqlite3.DatabaseError` when the file is no archive."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, step in enumerate(STEPS[version:], start=version + 1):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone()[0] >= number:
                continue  # another process was quicker
            step(connection)
            connection.execute(f"PRAGMA user_version = {number}")


def _first(connection: sqlite3.Connection) -> None:
    for statement in (
        """CREATE TABLE campaigns (
            id INTEGER PRIMARY KEY, brief TEXT NOT NULL, status TEXT NOT NULL, started_at TEXT NOT NULL,
            finished_at TEXT, facts TEXT NOT NULL DEFAULT '{}')""",
        """CREATE TABLE experiments (
            id TEXT PRIMARY KEY, campaign INTEGER NOT NULL REFERENCES campaigns(id), number INTEGER NOT NULL,
            role TEXT NOT NULL, status TEXT NOT NULL, parents TEXT NOT NULL DEFAULT '[]', name TEXT NOT NULL DEFAULT '',
            family TEXT NOT NULL DEFAULT '', rung INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',
            created_at TEXT NOT NULL, environment TEXT NOT NULL DEFAULT '{}', UNIQUE (campaign, role, number))""",
        """CREATE TABLE stages (
            experiment TEXT NOT NULL REFERENCES experiments(id), stage TEXT NOT NULL, rung INTEGER NOT NULL,
            seed INTEGER NOT NULL, finished_at TEXT NOT NULL, payload TEXT NOT NULL,
            PRIMARY KEY (experiment, stage, rung, seed))""",
        """CREATE TABLE lines (
            id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL REFERENCES campaigns(id), experiment TEXT,
            stage TEXT NOT NULL DEFAULT '', source TEXT NOT NULL, addressee TEXT NOT NULL, text TEXT NOT NULL,
            at TEXT NOT NULL, person INTEGER NOT NULL DEFAULT 0)""",
        "CREATE INDEX lines_by_experiment ON lines (experiment, id)",
        """CREATE TABLE teams (
            experiment TEXT PRIMARY KEY REFERENCES experiments(id), state TEXT NOT NULL)""",
        """CREATE TABLE calls (
            id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL, experiment TEXT, role TEXT NOT NULL, model TEXT NOT NULL,
            prompt_version TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
            cost REAL NOT NULL, seconds REAL NOT NULL, at TEXT NOT NULL)""",
        """CREATE VIEW gates AS
            SELECT s.experiment AS experiment, json_extract(g.value, '$.name') AS name,
                   json_extract(g.value, '$.passed') AS passed, json_extract(g.value, '$.value') AS value,
                   json_extract(g.value, '$.limit') AS "limit", json_extract(g.value, '$.message') AS message
            FROM stages s, json_each(s.payload, '$.gates') g""",
        """CREATE VIEW measurements AS
            SELECT s.experiment AS experiment, s.stage AS stage, json_extract(m.value, '$.metric') AS metric,
                   json_extract(m.value, '$.value') AS value, json_extract(m.value, '$.rung') AS rung,
                   json_extract(m.value, '$.seed') AS seed, json_extract(m.value, '$.steps') AS steps,
                   json_extract(m.value, '$.fresh') AS fresh, json_extract(m.value, '$.train_seconds') AS train_seconds,
                   json_extract(m.value, '$.cpu_seconds') AS cpu_seconds,
                   json_extract(m.value, '$.tokens_seen') AS tokens_seen
            FROM stages s, json_each(s.payload, '$.measurements') m""",
    ):
        connection.execute(statement)


def _principles(connection: sqlite3.Connection) -> None:
    connection.execute(
        """CREATE TABLE principles (
            id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL REFERENCES campaigns(id), at TEXT NOT NULL,
            payload TEXT NOT NULL)"""
    )


def _controls_and_curves(connection: sqlite3.Connection) -> None:
    """Tables beside the experiments: users' orders, and the state of a running campaign."""
    for statement in (
        """CREATE TABLE controls (
            id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL REFERENCES campaigns(id), at TEXT NOT NULL,
            user TEXT NOT NULL, kind TEXT NOT NULL, experiment TEXT, text TEXT NOT NULL DEFAULT '',
            taken_at TEXT, answer TEXT)""",
        "CREATE INDEX controls_untaken ON controls (campaign, id) WHERE taken_at IS NULL",
        """CREATE TABLE curves (
            experiment TEXT NOT NULL REFERENCES experiments(id), rung TEXT NOT NULL, seed INTEGER NOT NULL,
            rate REAL NOT NULL, fresh INTEGER NOT NULL, step INTEGER NOT NULL, loss REAL NOT NULL,
            PRIMARY KEY (experiment, rung, seed, rate, fresh, step)) WITHOUT ROWID""",
        """CREATE TABLE requests (
            id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL REFERENCES campaigns(id), experiment TEXT NOT NULL,
            kind TEXT NOT NULL, text TEXT NOT NULL, at TEXT NOT NULL, until TEXT, answer TEXT)""",
        "CREATE TABLE live (campaign INTEGER PRIMARY KEY, at TEXT NOT NULL, state TEXT NOT NULL)",
    ):
        connection.execute(statement)


def _openings(connection: sqlite3.Connection) -> None:
    """One row for each opening of sealed text, written before it."""
    connection.execute(
        """CREATE TABLE openings (
            id INTEGER PRIMARY KEY, experiment TEXT NOT NULL, corpus TEXT NOT NULL, purpose TEXT NOT NULL,
            at TEXT NOT NULL)"""
    )


def _messages(connection: sqlite3.Connection) -> None:
    """Messages get ids; the state of AutoGen's teams, which was most of the file, is dropped."""
    connection.execute("ALTER TABLE lines ADD COLUMN message TEXT NOT NULL DEFAULT ''")
    connection.execute("DELETE FROM teams")


def _cached_calls(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE calls ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0")
    connection.execute("ALTER TABLE calls ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1")


def _waits_of_calls(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE calls ADD COLUMN waited REAL NOT NULL DEFAULT 0")


STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _first,
    _principles,
    _controls_and_curves,
    _openings,
    _messages,
    _cached_calls,
    _waits_of_calls,
)
