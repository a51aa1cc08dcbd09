"""Records to points: which texts of an item are embedded under which name, and what it says to a reader."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from move37.memory import words
from move37.memory.embed import Embedder, digest, passages
from move37.memory.records import Entry, Lesson
from move37.memory.schema import entry_id, entry_payload, lesson_id, lesson_payload
from move37.memory.store import Point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def mark(item: Entry | Lesson) -> str:
    """Changes when the item does."""
    return digest(json.dumps(asdict(item), sort_keys=True))


def entry_points(entries: Sequence[Entry], embedder: Embedder) -> list[Point]:
    """Insights as the collection `cognition` keeps them."""
    vectors = _vectors([_entry_texts(entry) for entry in entries], embedder)
    return [
        Point(id=entry_id(entry), payload=entry_payload(entry, digest=mark(entry), at=_now()), **parts)
        for entry, parts in zip(entries, vectors, strict=True)
    ]


def lesson_points(lessons: Sequence[Lesson], embedder: Embedder) -> list[Point]:
    """Experiments as the collection `analyses` keeps them."""
    vectors = _vectors([_lesson_texts(lesson) for lesson in lessons], embedder)
    return [
        Point(
            id=lesson_id(lesson.experiment),
            payload=lesson_payload(lesson, digest=mark(lesson), at=lesson.finished_at or _now()),
            **parts,
        )
        for lesson, parts in zip(lessons, vectors, strict=True)
    ]


def gist(item: Entry | Lesson) -> str:
    """What an item says, as one text: for prompts, rerankers and people."""
    if isinstance(item, Entry):
        head = f"{item.title} ({item.key}{f', {item.year}' if item.year else ''})"
        body = [": ".join(part for part in (item.name, item.insight) if part)]
        body += [f"Symptoms: {' '.join(item.symptoms)}"] if item.symptoms else []
        body += [f"Remedy: {item.remedy}"] if item.remedy else []
        body += [f"Operators: {', '.join(item.operators)}"] if item.operators else []
        body += [f"Mechanism: {item.mechanism}"] if item.mechanism else []
        return "\n".join(part for part in (head, *body) if part)
    effect = "" if item.effect is None else f", effect {item.effect:+.4g}"
    bounds = "" if item.low is None or item.high is None else f" [{item.low:+.4g}, {item.high:+.4g}]"
    head = (
        f"Own experiment {item.experiment} {item.name} ({item.family}, {item.status}, rung {item.rung}{effect}{bounds})"
    )
    parts = {"Expected": item.expected, "Seen": item.seen, "Why": item.why, "Next": item.next}
    return "\n".join([head, *(f"{name}: {text}" for name, text in parts.items() if text)])


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
    return tuple(words.content(text) or text for text in texts)


def _lesson_texts(lesson: Lesson) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parts = (f"{lesson.name} {lesson.family}", lesson.expected, lesson.why, lesson.next)
    return (*lesson.symptoms, lesson.seen), tuple(part for part in parts if part.strip())


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
            name: words.document(" \n".join(side))
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


def middle(point: Point) -> NDArray[np.float32] | None:
    """The direction of the whole item, for diversity: the mean of its passages."""
    import numpy as np

    rows = [row for name in ("insight", "symptom") if (row := point.dense.get(name)) is not None]
    if not rows:
        return None
    mean = np.concatenate(rows).mean(axis=0)
    unit: NDArray[np.float32] = (mean / (np.linalg.norm(mean) or 1.0)).astype(np.float32)
    return unit


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
