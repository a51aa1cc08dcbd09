"""From a fused ranking to what a search gives: items weighed, chosen for diversity, and their records.

`weighed` reads of an item what weighing and choosing need: its key and its direction, and the whole of an own
result, which counts by what it holds. `chosen` picks some and makes records of those alone. What a point of an older
program lacks, or what somebody forgot or damaged meanwhile, is met here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from move37.memory import rank
from move37.memory.found import Found, age_days, readable
from move37.memory.records import Lesson
from move37.memory.records_to_vectors import DIRECTION, centroid, unpacked
from move37.memory.render import called
from move37.memory.schema import ANALYSES
from move37.memory.store import Point, Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Directions = dict[str, NDArray[np.float32]]

CHOICE = ("key", "source", "arxiv", DIRECTION)  # of a payload: what choosing needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """An item that may be shown, with what it is worth to this question."""

    id: str
    collection: str
    paper: str  # a further item of the same one is worth less
    score: float  # after weighting
    cosine: float | None
    found: Found | None = None  # where the whole was read already


def weighed(
    store: Store, ranked: Sequence[rank.Ranked], home: Mapping[str, str], shown: Mapping[str, int], now: datetime
) -> tuple[list[Weighed], Directions]:
    """(the items that exist, best first, own results weighed by evidence and age; their directions)."""
    points: dict[str, Point] = {}
    for name, ids in _by_collection((item.id for item in ranked), home).items():
        points |= store.fetch(name, ids, fields=None if name == ANALYSES else CHOICE)
    out = []
    for item in ranked:
        point = points.get(item.id)
        name = home[item.id]
        found = readable(name, point) if point is not None and name == ANALYSES else None
        if point is None or (found is None and name == ANALYSES):  # forgotten between the two calls, or damaged
            continue
        facts = {field: str(point.payload.get(field, "")) for field in CHOICE}
        key = found.key if found is not None else called(facts["key"], facts["source"])
        score = item.score * rank.shown_before(shown.get(key, 0))
        if found is not None and isinstance(found.item, Lesson):
            age = age_days(str(point.payload.get("at", "")), now)
            score = rank.weigh(score, evidence=rank.evidence(found.item), recency=rank.recency(age))
        paper = facts["arxiv"] or key  # of one paper under two names
        out.append(Weighed(id=item.id, collection=name, paper=paper, score=score, cosine=item.cosine, found=found))
    out.sort(key=lambda one: (-one.score, one.id))
    return out, _directions(store, points, home)


def chosen(store: Store, items: Sequence[Weighed], directions: Directions, *, limit: int) -> list[Found]:
    """The best of them that are not alike, as records. One that cannot be read makes room for another."""
    left = {one.id: one for one in items}
    home = {one.id: one.collection for one in items}
    known = {one.id: one.found for one in items if one.found is not None}
    while True:
        order = [(one.id, one.score) for one in left.values()]
        sources = {one.id: one.paper for one in left.values()}
        ids = rank.mmr(order, directions, limit=limit, sources=sources)
        for name, missing in _by_collection((id for id in ids if id not in known), home).items():
            for id, point in store.fetch(name, missing).items():
                if (found := readable(name, point)) is not None:
                    known[id] = found
        unreadable = [id for id in ids if id not in known]
        if not unreadable:
            return [replace(known[id], score=left[id].score, similarity=left[id].cosine) for id in ids]
        for id in unreadable:
            del left[id]


def _by_collection(ids: Iterable[str], home: Mapping[str, str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for id in ids:
        out.setdefault(home[id], []).append(id)
    return out


def _directions(store: Store, points: Mapping[str, Point], home: Mapping[str, str]) -> Directions:
    """Each item's direction: it stands in the payload, as reading an item's rows costs four times a search's rest.
    Points of an older program have none there, and their rows are read."""
    rows = unpacked({id: point.payload[DIRECTION] for id, point in points.items() if DIRECTION in point.payload})
    for name, missing in _by_collection((id for id in points if id not in rows), home).items():
        for id, point in store.fetch(name, missing, vectors=True).items():
            row = centroid(point.dense)
            if row is not None:
                rows[id] = row
    return rows
