"""What the two collections look like, which id an item has, and how an old layout becomes the new one.

`cognition` holds one point an insight of a paper, `analyses` one point an experiment. Both have the dense vectors
`symptom` and `insight` (a row a passage) and the sparse ones `symptom_words` and `insight_words`. Ids are uuid5 of what
an item *is*, so that writing it twice is writing it once, on every machine. `MIGRATIONS[n]` makes a payload of layout n
into one of layout n + 1; an opened collection with an older layout is rewritten by `migrate.upgrade`.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from move37.memory.errors import OtherModel, OtherSchema, WrongDimension
from move37.memory.records import Entry, Lesson
from move37.memory.store import Collection, Index

SCHEMA = 1
NAMESPACE = uuid.UUID("6f1d2c0e-3737-5a37-9c37-a1fa60374037")
DENSE = ("symptom", "insight")
SPARSE = ("symptom_words", "insight_words")
COGNITION = "cognition"
ANALYSES = "analyses"

# Layout n -> n + 1, by number; payload in, payload out. Empty until the layout changes for the first time.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}

_INDEXES: dict[str, dict[str, Index]] = {
    COGNITION: {
        "key": Index.KEYWORD,
        "origin": Index.KEYWORD,
        "area": Index.KEYWORD,
        "families": Index.KEYWORD,
        "operators": Index.KEYWORD,
        "year": Index.INTEGER,
    },
    ANALYSES: {
        "key": Index.KEYWORD,
        "task": Index.KEYWORD,
        "families": Index.KEYWORD,
        "operators": Index.KEYWORD,
        "status": Index.KEYWORD,
        "rung": Index.INTEGER,
        "effect": Index.FLOAT,
    },
}


def collection(name: str, *, model: str, dimension: int, schema: int = SCHEMA) -> Collection:
    """The shape of one of our two collections."""
    return Collection(
        name=name, schema=schema, model=model, dimension=dimension, dense=DENSE, sparse=SPARSE, indexes=_INDEXES[name]
    )


def compare(wanted: Collection, stored: Mapping[str, Any]) -> None:
    """Does what is stored fit what is wanted?

    Raises:
        OtherModel: embedded with another model, the vectors mean nothing to ours.
        WrongDimension: same name, another length.
        OtherSchema: written by a newer program.
    """
    name = wanted.name
    if stored.get("model") != wanted.model:
        raise OtherModel(
            f"The collection {name!r} was built with the embedding model {stored.get('model')}, this is {wanted.model};"
            " give a new --home and import the papers again, or export it with the program that built it."
        )
    if stored.get("dimension") != wanted.dimension:
        raise WrongDimension(
            f"The collection {name!r} holds vectors of {stored.get('dimension')}, not {wanted.dimension}."
        )
    if int(stored.get("schema", 0)) > wanted.schema:
        raise OtherSchema(f"The collection {name!r} was written by a newer Move 37; update this one.")


def manifest(wanted: Collection) -> dict[str, Any]:
    """What `compare` reads later."""
    return {"model": wanted.model, "dimension": wanted.dimension, "schema": wanted.schema}


def entry_id(entry: Entry) -> str:
    """Same origin, file and position: same id."""
    return str(uuid.uuid5(NAMESPACE, f"cognition/{entry.origin}/{entry.key}/{entry.number}"))


def lesson_id(experiment: str) -> str:
    """Same experiment: same id."""
    return str(uuid.uuid5(NAMESPACE, f"analyses/{experiment}"))


def entry_payload(entry: Entry, *, digest: str, at: str) -> dict[str, Any]:
    """As stored; `digest` tells whether the paper changed."""
    return {"schema": SCHEMA, **_lists(asdict(entry)), "digest": digest, "at": at}


def lesson_payload(lesson: Lesson, *, digest: str, at: str) -> dict[str, Any]:
    """As stored, with the keys that both collections share (`key`, `families`)."""
    plain = _lists(asdict(_finite(lesson)))
    return {
        "schema": SCHEMA,
        "key": lesson.experiment,
        "families": [lesson.family],
        **plain,
        "digest": digest,
        "at": at,
    }


def _finite(lesson: Lesson) -> Lesson:
    """A diverged run's numbers are no numbers, and the engines refuse them: they become unknown."""
    known = {name: value for name, value in lesson.deltas.items() if math.isfinite(value)}
    effect, low, high = _known(lesson.effect), _known(lesson.low), _known(lesson.high)
    return replace(lesson, deltas=known, effect=effect, low=low, high=high)


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def entry_of(payload: Mapping[str, Any]) -> Entry:
    """The record back from its payload."""
    return Entry(**_record(Entry, payload))


def lesson_of(payload: Mapping[str, Any]) -> Lesson:
    """The record back from its payload."""
    return Lesson(**_record(Lesson, payload))


def _lists(plain: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def _record(kind: type, payload: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in payload.items() if name in names
    }
