"""One item that a search brought back, and why it did (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from move37.memory import bm25, rank
from move37.memory.records import Lesson, MemoryKind, RecordedPrinciple
from move37.memory.render import Stored, called, stored
from move37.memory.schema import ANALYSES, COGNITION, PRINCIPLES, record_of
from move37.memory.store import Point

log = structlog.get_logger()
KINDS: Mapping[str, MemoryKind] = {COGNITION: "cognition", ANALYSES: "analysis", PRINCIPLES: "principle"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One item that a search brought back."""

    id: str
    kind: MemoryKind
    score: float  # after fusion and weighting
    item: Stored
    why: str
    similarity: float | None = None  # best cosine of a passage, where a dense list held it
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The paper's, the experiment's or the principle's."""
        return key_of(self.item)


def key_of(item: Stored) -> str:
    """What an item is called outside the store."""
    if isinstance(item, Lesson):
        return item.experiment
    return item.id if isinstance(item, RecordedPrinciple) else called(item.key, item.source)


def found_at(name: str, point: Point) -> Found:
    """A stored point as its record, before anything was weighed."""
    record = record_of(name, point.payload)
    return Found(id=point.id, kind=KINDS[name], score=0.0, item=record, why="", payload=point.payload)


def readable(name: str, point: Point) -> Found | None:
    """The same; None, and a warning, where the payload is no record: one damaged item stops neither a search nor an
    export of the others."""
    try:
        return found_at(name, point)
    except (ValueError, TypeError, KeyError) as error:  # pydantic's are ValueErrors
        log.warning("item_unreadable", id=point.id, collection=name, error=str(error).splitlines()[0])
        return None


def explained(asked: Mapping[str, str], found: Found, places: Mapping[str, int]) -> Found:
    """Which words (`bm25.spelled`) and which meaning brought it back, and at which place in which list."""
    parts = []
    said = bm25.shared(asked, stored(found.item))
    if said:
        parts.append("words " + ", ".join(said))
    if found.similarity is not None:
        parts.append(f"meaning {found.similarity:.2f}")
    parts.append("place " + ", ".join(f"{place} by {name.replace('_', ' ')}" for name, place in places.items()))
    if isinstance(found.item, Lesson):
        parts.append(f"evidence {rank.evidence(found.item):.2f}")
    return replace(found, why="; ".join([*parts, *([found.why] if found.why else [])]))


def age_days(at: str, now: datetime) -> float:
    """Days since a time; 0 where there is none."""
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return 0.0
    return (now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds() / 86400.0
