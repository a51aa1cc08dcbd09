"""Records to points of the store: which texts of a record are embedded, and under which vector's name."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from move37.memory import bm25
from move37.memory.embed import digest, passages
from move37.memory.embedder_protocol import Embedder
from move37.memory.records import Entry, Lesson, RecordedPrinciple
from move37.memory.render import Stored
from move37.memory.schema import entry_id, entry_payload, lesson_id, lesson_payload, principle_id, principle_payload
from move37.memory.store import Point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIRECTION = "direction"  # a payload's key


def content_hash(item: Stored) -> str:
    """Changes when the item does."""
    return digest(json.dumps(asdict(item), sort_keys=True))


def entry_points(entries: Sequence[Entry], embedder: Embedder) -> list[Point]:
    """Insights as the collection `cognition` keeps them."""
    vectors = _vectors([_entry_texts(entry) for entry in entries], embedder)
    return [
        Point(
            id=entry_id(entry),
            payload=directed(entry_payload(entry, digest=content_hash(entry), at=_now()), parts["dense"]),
            **parts,
        )
        for entry, parts in zip(entries, vectors, strict=True)
    ]


def lesson_points(lessons: Sequence[Lesson], embedder: Embedder) -> list[Point]:
    """Experiments as the collection `analyses` keeps them."""
    vectors = _vectors([_lesson_texts(lesson) for lesson in lessons], embedder)
    return [
        Point(
            id=lesson_id(lesson.experiment),
            payload=directed(
                lesson_payload(lesson, digest=content_hash(lesson), at=lesson.finished_at or _now()), parts["dense"]
            ),
            **parts,
        )
        for lesson, parts in zip(lessons, vectors, strict=True)
    ]


def principle_points(principles: Sequence[RecordedPrinciple], embedder: Embedder) -> list[Point]:
    """Principles as the collection `principles` keeps them."""
    vectors = _vectors([_principle_texts(principle) for principle in principles], embedder)
    return [
        Point(
            id=principle_id(principle.id, task=principle.task, data=principle.data),
            payload=directed(
                principle_payload(principle, digest=content_hash(principle), at=principle.updated_at or _now()),
                parts["dense"],
            ),
            **parts,
        )
        for principle, parts in zip(principles, vectors, strict=True)
    ]


def points(records: Sequence[Stored], embedder: Embedder) -> list[Point]:
    """Records of one collection as its points."""
    out: list[Point] = []
    for record in records:
        if isinstance(record, Entry):
            out += entry_points([record], embedder)
        elif isinstance(record, Lesson):
            out += lesson_points([record], embedder)
        else:
            out += principle_points([record], embedder)
    return out


def texts(record: Stored) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(symptoms, the rest): what is embedded of a record."""
    if isinstance(record, Entry):
        return _entry_texts(record)
    return _lesson_texts(record) if isinstance(record, Lesson) else _principle_texts(record)


def _entry_texts(entry: Entry) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parts = (
        f"{entry.title}. {entry.name}",
        entry.insight,
        entry.mechanism,
        entry.remedy,
        entry.equations,
        entry.complexity,
        entry.background,
    )
    return _contents(entry.symptoms), _contents(part for part in parts if part.strip(" ."))


def _contents(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(bm25.content(text) or text for text in texts)


def _lesson_texts(lesson: Lesson) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parts = (f"{lesson.name} {lesson.family}", lesson.lesson, lesson.expected, lesson.why, lesson.next)
    return (*_solid(lesson.symptoms), *_solid((lesson.seen,))), _solid(parts)


def _solid(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for part in parts if part.strip())


def _principle_texts(principle: RecordedPrinciple) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (), (principle.text,)


def _vectors(texts: Sequence[tuple[Sequence[str], Sequence[str]]], embedder: Embedder) -> list[dict[str, Any]]:
    """(symptoms, insight texts) -> the named vectors; every passage is embedded once, in one sorted batch."""
    rows = [(_cut(symptoms), _cut(parts)) for symptoms, parts in texts]
    flat = list(dict.fromkeys(piece for pair in rows for side in pair for piece in side))
    at = {piece: place for place, piece in enumerate(flat)}
    matrix = embedder.embed(flat) if flat else None
    out = []
    for (symptoms, parts), (said, shown) in zip(rows, texts, strict=True):
        dense = {
            name: matrix[[at[piece] for piece in side]]
            for name, side in (("symptom", symptoms), ("insight", parts))
            if side and matrix is not None
        }
        sparse = {
            name: bm25.document(" \n".join(side))
            for name, side in (("symptom_words", said), ("insight_words", shown))
            if side
        }
        out.append({"dense": dense, "sparse": sparse})
    return out


def _cut(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(piece for text in texts for piece in passages(text))


def all_passages(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Every passage that these entries need a vector for, once."""
    sides = (side for entry in entries for side in _entry_texts(entry))
    return tuple(dict.fromkeys(piece for side in sides for piece in _cut(side)))


def centroid(dense: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32] | None:
    """The direction of a whole item, for diversity: the mean of its passages."""
    import numpy as np

    rows = [row for name in ("insight", "symptom") if (row := dense.get(name)) is not None]
    if not rows:
        return None
    mean = np.concatenate(rows).mean(axis=0)
    unit: NDArray[np.float32] = (mean / (np.linalg.norm(mean) or 1.0)).astype(np.float32)
    return unit


def directed(payload: dict[str, Any], dense: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    """The payload with the item's direction in 8 bits a component, as text (a cosine of .9999 to the exact one)."""
    import numpy as np

    unit = centroid(dense)
    if unit is None:
        return payload
    codes = np.rint(unit * (127.0 / np.abs(unit).max())).astype(np.int8)
    return payload | {DIRECTION: base64.b64encode(codes.tobytes()).decode()}


def unpacked(directions: Mapping[str, str]) -> dict[str, NDArray[np.float32]]:
    """The directions back, by id, of length 1."""
    import numpy as np

    if not directions:
        return {}
    packed = b"".join(base64.b64decode(text) for text in directions.values())
    codes = np.frombuffer(packed, dtype=np.int8).reshape(len(directions), -1).astype(np.float32)
    units = codes / np.sqrt(np.einsum("ij,ij->i", codes, codes))[:, None]
    return dict(zip(directions, units, strict=True))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
