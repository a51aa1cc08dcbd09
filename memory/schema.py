"""What the collections look like, which id an item has, and how an old layout becomes the new one.

`cognition` holds one point an insight of a paper, `analyses` one point an experiment, `principles` one point a
principle. All have the dense vectors `symptom` and `insight` (a row a passage) and the sparse ones `symptom_words` and
`insight_words`. Ids are uuid5 of what an item *is*, so that writing it twice is writing it once, on every machine.
`MIGRATIONS[n]` makes a payload of layout n into one of layout n + 1; an opened collection with an older layout is
rewritten by `migrate.upgrade`, and a record of an older layout from a file (outbox, export) is raised when it is read.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from move37.memory.embedder_protocol import whole
from move37.memory.errors import OtherModel, OtherSchema, WrongDimension
from move37.memory.records import Entry, Lesson, MeasuredEffect, MeasuredEffects, RecordedPrinciple
from move37.memory.store import Collection, FieldIndex

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 2
NAMESPACE = uuid.UUID("6f1d2c0e-3737-5a37-9c37-a1fa60374037")
DENSE = ("symptom", "insight")
SPARSE = ("symptom_words", "insight_words")
COGNITION = "cognition"
ANALYSES = "analyses"
PRINCIPLES = "principles"
BUILTIN_TASK = "mixers"  # what the built-in base is about
INTERVAL = 3.92  # standard errors in a 95 % interval

_INDEXES: dict[str, dict[str, FieldIndex]] = {
    COGNITION: {
        "key": FieldIndex.KEYWORD,
        "origin": FieldIndex.KEYWORD,
        "task": FieldIndex.KEYWORD,
        "area": FieldIndex.KEYWORD,
        "families": FieldIndex.KEYWORD,
        "operators": FieldIndex.KEYWORD,
        "year": FieldIndex.INTEGER,
    },
    ANALYSES: {
        "key": FieldIndex.KEYWORD,
        "task": FieldIndex.KEYWORD,
        "families": FieldIndex.KEYWORD,
        "operators": FieldIndex.KEYWORD,
        "gained": FieldIndex.KEYWORD,
        "lost": FieldIndex.KEYWORD,
        "status": FieldIndex.KEYWORD,
        "rung": FieldIndex.INTEGER,
    },
    PRINCIPLES: {
        "key": FieldIndex.KEYWORD,
        "task": FieldIndex.KEYWORD,
        "families": FieldIndex.KEYWORD,
        "operators": FieldIndex.KEYWORD,
    },
}


def _to_2(payload: dict[str, Any]) -> dict[str, Any]:
    """Effects with their references and standard errors; papers belong to a task."""
    if "experiment" not in payload:
        return payload | {"task": BUILTIN_TASK if payload.get("origin") == "builtin" else ""}
    effect, low, high = (payload.pop(name, None) for name in ("effect", "low", "high"))
    payload.pop("deltas", None)  # means over all baselines, of several texts: no comparison of anything
    if effect is not None and payload.get("effects") is None:
        error = abs(high - low) / INTERVAL if low is not None and high is not None else None
        payload["effects"] = {"best": {"gain": effect, "error": error}}
    return payload


# Layout n -> n + 1, by number; payload in, payload out.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _to_2}


def collection(name: str, *, model: str, dimension: int, digest: str = "", schema: int = SCHEMA) -> Collection:
    """The shape of one of our collections; `digest` names the embedding model's weights."""
    return Collection(
        name=name,
        schema=schema,
        model=model,
        dimension=dimension,
        digest=digest,
        dense=DENSE,
        sparse=SPARSE,
        indexes=_INDEXES[name],
    )


def compare(wanted: Collection, stored: Mapping[str, Any]) -> None:
    """Does what is stored fit what is wanted?

    Raises:
        OtherModel: embedded with another model, or with other weights of the same name.
        WrongDimension: same name, another length.
        OtherSchema: written by a newer program.
    """
    name = wanted.name
    if stored.get("model") != wanted.model:
        raise OtherModel(
            f"The collection {name!r} was built with the embedding model {stored.get('model')}, this is {wanted.model};"
            " give a new --home and import the papers again, or set memory.embedding_model to the other one."
        )
    if stored.get("dimension") != wanted.dimension:
        raise WrongDimension(
            f"The collection {name!r} holds vectors of {stored.get('dimension')}, not {wanted.dimension}."
        )
    if wanted.digest and stored.get("digest") and stored["digest"] != wanted.digest:
        raise OtherModel(
            f"The collection {name!r} was built with other weights of {wanted.model} (digest {stored['digest']}, here"
            f" {wanted.digest}); give a new --home and import the papers again, or install the weights it was built by."
        )
    if int(stored.get("schema", 0)) > wanted.schema:
        raise OtherSchema(f"The collection {name!r} was written by a newer Move 37; update this one.")


def manifest(wanted: Collection) -> dict[str, Any]:
    """What `compare` reads later."""
    known = {"model": wanted.model, "dimension": wanted.dimension, "schema": wanted.schema}
    return known | ({"digest": wanted.digest} if wanted.digest else {})


def entry_id(entry: Entry) -> str:
    """Same origin, file and position: same id."""
    return str(uuid.uuid5(NAMESPACE, whole(f"cognition/{entry.origin}/{entry.key}/{entry.number}")))


def lesson_id(experiment: str) -> str:
    """Same experiment: same id."""
    return str(uuid.uuid5(NAMESPACE, whole(f"analyses/{experiment}")))


def principle_id(principle: str, *, task: str = "", data: str = "") -> str:
    """Same principle of the same task and data, whatever its text is by now: same id."""
    return str(uuid.uuid5(NAMESPACE, whole("/".join(["principles", *(p for p in (task, data) if p), principle]))))


def entry_payload(entry: Entry, *, digest: str, at: str) -> dict[str, Any]:
    """As stored; `digest` tells whether the paper changed."""
    return {"schema": SCHEMA, **_plain(entry), "digest": digest, "at": at}


def lesson_payload(lesson: Lesson, *, digest: str, at: str) -> dict[str, Any]:
    """As stored, with the keys that the collections share (`key`, `families`)."""
    shared = {"schema": SCHEMA, "key": lesson.experiment, "families": [lesson.family]}
    return {**shared, **_plain(_finite(lesson)), "digest": digest, "at": at}


def principle_payload(principle: RecordedPrinciple, *, digest: str, at: str) -> dict[str, Any]:
    """As stored. The store's own `id` is another one, so ours is called `key`."""
    return {"schema": SCHEMA, "key": principle.id, **_plain(principle), "digest": digest, "at": at}


def _finite(lesson: Lesson) -> Lesson:
    """A diverged run's numbers are no numbers, and the engines refuse them: they become unknown."""
    known = tuple(probe for probe in lesson.probes if math.isfinite(probe.value))
    effects = lesson.effects
    return replace(
        lesson,
        probes=tuple(replace(probe, chance=_number(probe.chance)) for probe in known),
        effects=MeasuredEffects(
            parent=_effect(effects.parent), family=_effect(effects.family), best=_effect(effects.best)
        ),
    )


def _effect(effect: MeasuredEffect | None) -> MeasuredEffect | None:
    if effect is None or not math.isfinite(effect.gain):
        return None
    return MeasuredEffect(gain=effect.gain, error=_number(effect.error))


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def entry_of(payload: Mapping[str, Any]) -> Entry:
    """The record back from its payload."""
    entry: Entry = _adapter(Entry).validate_python(payload)
    return entry


def lesson_of(payload: Mapping[str, Any]) -> Lesson:
    """The record back from its payload, or from a file of an older version.

    Raises:
        ValueError: a field is missing or of another kind.
    """
    old = payload if "effects" in payload else _to_2(dict(payload))
    lesson: Lesson = _adapter(Lesson).validate_python(old)
    return lesson


def principle_of(payload: Mapping[str, Any]) -> RecordedPrinciple:
    """The record back from its payload."""
    principle: RecordedPrinciple = _adapter(RecordedPrinciple).validate_python(payload)
    return principle


def record_of(name: str, payload: Mapping[str, Any]) -> Entry | Lesson | RecordedPrinciple:
    """The record of a collection's payload."""
    if name == COGNITION:
        return entry_of(payload)
    return lesson_of(payload) if name == ANALYSES else principle_of(payload)


def _plain(record: Entry | Lesson | RecordedPrinciple) -> dict[str, Any]:
    """JSON's kinds alone, at every depth: tuples become lists, and half a character, which no engine stores, a mark."""
    return {name: _listed(value) for name, value in asdict(record).items()}


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    return {name: _listed(item) for name, item in value.items()} if isinstance(value, dict) else value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # start-up time: a command that reads no record needs none of it

    return TypeAdapter(kind)
