"""The memory itself, synchronous: three collections in one store, written and searched with one embedder.

`put_entries`, `put_lessons` and `put_principles` write, `search` answers with `Found`s, `Index.near` is the plain
cosine question that `novelty.py` builds on. `recall.py` puts threads, a budget and an outbox around this. Nothing here
opens a file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime

from move37.memory import bm25, choice, rank
from move37.memory.embed import passages
from move37.memory.embedder_protocol import Embedder, whole
from move37.memory.errors import NotFound
from move37.memory.found import KINDS, Found, explained, readable
from move37.memory.records import Entry, Lesson, RecordedPrinciple
from move37.memory.records_to_vectors import (
    content_hash,
    entry_points,
    lesson_points,
    principle_points,
)
from move37.memory.render import called, stored
from move37.memory.schema import ANALYSES, COGNITION, DENSE, PRINCIPLES, SPARSE, collection, entry_id, principle_id
from move37.memory.store import Collection, Hit, Nearest, Point, Sparse, Store, Where

BATCH = 256  # points in one write: enough for the embedder to see a large batch
EVERYWHERE: Mapping[str, Where | None] = dict.fromkeys(KINDS)
ASKED = 16  # passages of a question that are looked at
ASKED_WORDS = 20  # of one passage: each observation of a long question is matched alone
MANY = 64  # files from which all of a collection is scanned once
POOL = 24  # candidates that are read back for weighting and diversity
Progress = Callable[[int, int], None]  # done, of how many


class Index:
    """The collections of a store."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self.store = store
        self.embedder = embedder
        self.schemas: dict[str, int] = {}  # as stored; `migrate.upgrade` raises an older one
        for name in KINDS:
            self.schemas[name] = store.open(self.shape(name))

    def shape(self, name: str) -> Collection:
        """What a collection must look like for this embedder."""
        embedder = self.embedder
        return collection(name, model=embedder.name, dimension=embedder.dimension, digest=embedder.digest)

    def put_entries(
        self, entries: Sequence[Entry], *, progress: Progress | None = None, embedder: Embedder | None = None
    ) -> int:
        """Write insights; those of the same file that are not among them are forgotten. Gives how many were new or
        changed: an unchanged file is neither embedded nor written again. `embedder` may know some texts already."""
        changed, gone = self.news(entries)
        self.store.delete(COGNITION, gone)
        for start in range(0, len(changed), BATCH):
            self.store.upsert(COGNITION, entry_points(changed[start : start + BATCH], embedder or self.embedder))
            if progress is not None:
                progress(min(start + BATCH, len(changed)), len(changed))
        return len(changed)

    def news(self, entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
        """(those that are new or changed, the ids of those that left their file)."""
        fresh = {entry_id(entry): entry for entry in entries}
        stored = self._digests({(entry.origin, entry.key) for entry in entries})
        changed = [entry for id, entry in fresh.items() if stored.get(id) != content_hash(entry)]
        return changed, [id for id in stored if id not in fresh]

    def _digests(self, files: Set[tuple[str, str]]) -> dict[str, str]:
        """Id -> digest of what is stored of these (origin, key) files: one scan, however many files there are."""
        if not files:
            return {}
        keys = sorted({key for _, key in files})
        where = Where(any_of={"key": tuple(keys)}) if len(keys) <= MANY else None
        return {
            point.id: str(point.payload.get("digest"))
            for point in self.store.scan(COGNITION, where=where)
            if (point.payload.get("origin"), point.payload.get("key")) in files
        }

    def put_lessons(self, lessons: Sequence[Lesson]) -> None:
        """Write what experiments taught; the same experiment again replaces what it said before."""
        self.store.upsert(ANALYSES, lesson_points(lessons, self.embedder))

    def put_principles(self, principles: Sequence[RecordedPrinciple]) -> None:
        """Write what the laboratory believes; the same principle again replaces its text and evidence."""
        self.store.upsert(PRINCIPLES, principle_points(principles, self.embedder))
        for one in principles:
            self._drop_unplaced(one.id, one.task, one.data)

    def strike_principle(self, id: str, *, task: str, data: str) -> None:
        """Forget a principle of a task and its data."""
        self.store.delete(PRINCIPLES, [principle_id(id, task=task, data=data)])
        self._drop_unplaced(id, task, data)

    def _drop_unplaced(self, id: str, task: str, data: str) -> None:
        # Before tasks and their data were told apart, the id alone was the key: what it was of says its task.
        for old in {principle_id(id), principle_id(id, task=task)} - {principle_id(id, task=task, data=data)}:
            found = self.store.fetch(PRINCIPLES, [old]).get(old)
            if found is not None and found.payload.get("task") == task and not found.payload.get("data"):
                self.store.delete(PRINCIPLES, [old])

    def search(
        self,
        text: str,
        *,
        limit: int = 6,
        where: Mapping[str, Where | None] = EVERYWHERE,
        meaning: float = rank.MEANING,
        shown: Mapping[str, int] | None = None,
        now: datetime | None = None,
    ) -> tuple[Found, ...]:
        """Hybrid search: one hit an item, best first. `where` names the collections to search, each with its filter;
        `meaning` is the weight of the dense half (1: it alone, 0: words alone); `shown` lowers what was shown before,
        by key. An empty text finds nothing."""
        text = whole(text)
        queries = self._queries(bm25.content(text) or text, meaning)
        if not queries or limit <= 0:
            return ()
        lists, home = self._lists(queries, where)
        pool = rank.fuse(lists, meaning=meaning, groups=home, limit=max(POOL, 2 * limit))
        weighed, directions = choice.weighed(self.store, pool, home, shown or {}, now or datetime.now(UTC))
        found = choice.chosen(self.store, weighed, directions, limit=limit)
        places = rank.places(lists, [one.id for one in found])
        asked = bm25.spelled(text)
        return tuple(explained(asked, one, places[one.id]) for one in found)

    def _lists(
        self, queries: Mapping[str, Nearest], where: Mapping[str, Where | None]
    ) -> tuple[dict[str, list[Hit]], dict[str, str]]:
        """(the engine's list of each query over all collections, best first; id -> collection)."""
        home: dict[str, str] = {}
        lists: dict[str, list[Hit]] = {name: [] for name in queries}
        several = 0
        for name, condition in where.items():
            if self.store.is_empty(name):
                continue
            several += 1
            answers = self.store.nearest(name, list(queries.values()), limit=rank.DEPTH, where=condition)
            for (side, query), hits in zip(queries.items(), answers, strict=True):
                rows = 1 if isinstance(query.vector, Sparse) else len(query.vector)
                lists[side] += hits if rows == 1 else [Hit(id, score / rows) for id, score in hits]
                home.update(dict.fromkeys((id for id, _ in hits), name))
        if several > 1:
            for hits in lists.values():
                hits.sort(key=lambda hit: (-hit.score, hit.id))
        return lists, home

    def _queries(self, text: str, meaning: float) -> dict[str, Nearest]:
        pieces = passages(text, words=ASKED_WORDS)[:ASKED] if meaning > 0 else ()
        sparse = bm25.question(text)
        queries: dict[str, Nearest] = {}
        if sparse.indices and meaning < 1:
            queries |= {name: Nearest(using=name, vector=sparse) for name in SPARSE}
        if pieces:
            rows = self.embedder.embed(pieces)
            queries |= {name: Nearest(using=name, vector=rows) for name in DENSE}
        return queries

    def near(self, name: str, text: str, *, limit: int, where: Where | None = None) -> list[tuple[Found, float]]:
        """The nearest items by meaning alone, with the cosine of the whole text and their nearest passage, 0..1."""
        text = whole(text)
        pieces = passages(text)[:ASKED]
        if not pieces:
            return []
        rows = self.embedder.embed(pieces)
        queries = [Nearest(using=side, vector=rows) for side in ("symptom", "insight")]
        best: dict[str, float] = {}
        for hits in self.store.nearest(name, queries, limit=limit, where=where):
            for hit in hits:
                best[hit.id] = max(best.get(hit.id, 0.0), hit.score / len(rows))
        chosen = sorted(best, key=lambda id: (-best[id], id))[:limit]
        points = self.store.fetch(name, chosen)
        asked = bm25.spelled(text)
        out = []
        for id in chosen:
            known = readable(name, points[id]) if id in points else None
            if known is not None:
                found = replace(known, score=best[id], similarity=best[id])
                said = ", ".join(bm25.shared(asked, stored(found.item))) or "no word"
                out.append((replace(found, why=f"shares {said}"), best[id]))
        return out

    def changed(self, gained: Sequence[str], lost: Sequence[str], *, where: Where | None = None) -> list[Found]:
        """Own experiments that gained or lost one of these operators against their base, under a filter."""
        found: dict[str, Found] = {}
        base = where or Where()
        for name, operators in (("gained", gained), ("lost", lost)):
            if operators:
                condition = replace(base, any_of={**base.any_of, name: tuple(operators)})
                found.update((one.id, one) for one in self.all(ANALYSES, condition))
        return list(found.values())

    def get(self, id: str) -> tuple[Found, ...]:
        """The item with this id, or everything under a paper's key or an experiment's id, in its order.

        Raises:
            NotFound: none of the three.
        """
        for name in KINDS:
            found = [one for point in self._named(name, id) if (one := readable(name, point)) is not None]
            if found:
                return tuple(
                    sorted(found, key=lambda one: (getattr(one.item, "key", one.key), getattr(one.item, "number", 0)))
                )
        raise NotFound(f"The memory holds nothing called {id!r}; `move37 memory search` lists ids.")

    def _named(self, name: str, id: str) -> list[Point]:
        id = whole(id)
        direct = list(self.store.fetch(name, [id]).values()) if _is_uuid(id) else []
        forms = dict.fromkeys((id, *(unicodedata.normalize(form, id) for form in ("NFC", "NFD"))))  # of a file's name
        found = direct or list(self.store.scan(name, where=Where(any_of={"key": tuple(forms)})))
        if found or name != COGNITION:
            return found
        # One of a list of references, by the list's key and its own or by its own alone.
        ends = tuple("/".join(form.split("/")[cut:]) for form in forms for cut in range(form.count("/") + 1))
        listed = [(point, point.payload) for point in self.store.scan(name, where=Where(any_of={"name": ends}))]
        names = [(point, str(said.get("key")), str(said.get("source"))) for point, said in listed]
        return [point for point, key, source in names if {called(key, source), source.partition("#")[2]} & forms.keys()]

    def all(self, name: str, where: Where | None = None) -> Iterator[Found]:
        """Every item of a collection."""
        for point in self.store.scan(name, where=where):
            if (found := readable(name, point)) is not None:
                yield found

    def forget(self, id: str) -> int:
        """Remove an item by its id, or everything under a key; gives how many."""
        for name in KINDS:
            ids = [point.id for point in self._named(name, id)]
            if ids:
                self.store.delete(name, ids)
                return len(ids)
        raise NotFound(f"The memory holds nothing called {id!r}.")


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is not None
