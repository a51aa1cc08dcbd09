"""What agents call: `open_memory` gives a `Memory` whose methods run in threads, within budgets, and lose no lesson.

The store is opened at the first use, so that a command which only asks where memory lies pays nothing. Reading raises
the errors of `errors.py` when the store cannot be used; `remember` does not: the lesson is on disk first (this is when
it is acknowledged: neither a killed process nor a dead server loses it any more) and moves into the store when that can
be reached, now or at a later call. Not here: ranking (`index.py`, `rank.py`), files (`papers.py`, `ingest.py`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from move37.memory import novelty, rank, render
from move37.memory.embed import Embedder, open_embedder
from move37.memory.errors import MemoryFault, MemoryUnavailable
from move37.memory.filters import Terms, filters
from move37.memory.guard import neutralize
from move37.memory.index import KINDS, Found, Index, Progress, Reranker
from move37.memory.migrate import upgrade
from move37.memory.outbox import Outbox
from move37.memory.records import DeadEnd, Entry, Lesson, Newness, Principle, Recollection, Situation
from move37.memory.schema import ANALYSES, COGNITION, PRINCIPLES, SCHEMA, principle_id
from move37.memory.situation import question
from move37.memory.store import Store, Where

log = structlog.get_logger()
T = TypeVar("T")
BUDGET_TOKENS = 2400  # six whole items: an insight has about 250, a lesson about 200
NEAR = 12  # own experiments that a proposal's text is compared with


def open_memory(
    home: Path,
    *,
    url: str | None = None,
    api_key: str | None = None,
    embedding_model: str | None = None,
    embedder: Embedder | None = None,
    reranker: Reranker | None = None,
    read_only: bool = False,
) -> Memory:
    """The memory of a home: embedded under `home/memory`, or on the Qdrant server of a URL. Opens nothing yet.

    `embedding_model` is a sentence-transformers model's name or folder; None is the one that a package carries. With
    `read_only` a home that another process holds is read from a copy, waiting lessons and all.
    """
    return Memory(
        home,
        url=url,
        api_key=api_key,
        embedding_model=embedding_model,
        embedder=embedder,
        reranker=reranker,
        read_only=read_only,
    )


def open_store(folder: Path, *, url: str | None = None, api_key: str | None = None) -> Store:
    """The backend: a server by URL, Qdrant's engine in this process, or the client's local mode without its wheel.

    Raises:
        BackendMissing: none of them is installed.
    """
    if url:
        from move37.memory.server import connect

        return connect(url, api_key)
    from importlib.util import find_spec

    if find_spec("qdrant_edge") is not None:
        from move37.memory.edge import EdgeStore

        return EdgeStore(folder / "edge")
    from move37.memory.local import open_local

    log.warning("memory_falls_back", backend="local", reason="qdrant-edge-py is not installed")
    return open_local(folder / "local")


class Memory:
    """Both collections of a home, for agents and commands. Methods may be called from several tasks and threads."""

    def __init__(
        self,
        home: Path,
        *,
        url: str | None = None,
        api_key: str | None = None,
        embedding_model: str | None = None,
        embedder: Embedder | None = None,
        reranker: Reranker | None = None,
        read_only: bool = False,
    ) -> None:
        self.folder = home / "memory"
        self.url = url
        self._api_key = api_key
        self._embedder = embedder or open_embedder(embedding_model)
        self._reranker = reranker
        self._read_only = read_only
        self._copied = False  # a copy is read, because another process writes
        self._index: Index | None = None
        self._lock = threading.RLock()
        self.outbox = Outbox(self.folder / "queue")

    def index(self) -> Index:
        """The opened index (opens it, and brings waiting lessons in).

        Raises:
            MemoryUnavailable: locked by another process, unreachable, refused.
            Mismatch: built with another model or by a newer program.
        """
        with self._lock:
            if self._index is None:
                self._index = self._open()
            if not self._copied:
                self._drain(self._index)
            return self._index

    def _open(self) -> Index:
        try:
            return self._opened(open_store(self.folder, url=self.url, api_key=self._api_key))
        except MemoryUnavailable:
            edge = self.folder / "edge"
            if not self._read_only or self.url or not edge.is_dir():
                raise
            from move37.memory.snapshot import Snapshot  # start-up time: a server needs none of it

            index = self._opened(Snapshot(edge))
            self._copied = True
            # Into the copy alone: the holder stores them.
            index.put_lessons([lesson for _, lesson in self.outbox.waiting()])
            return index

    def _opened(self, store: Store) -> Index:
        try:
            index = Index(store, self._embedder, reranker=self._reranker)
            for name, schema in tuple(index.schemas.items()):
                if schema < SCHEMA:
                    upgrade(index, name, schema)
                    index.schemas[name] = SCHEMA
            return index
        except BaseException:
            store.close()
            raise

    async def recall(
        self,
        query: str | Situation,
        *,
        k: int = 6,
        budget_tokens: int = BUDGET_TOKENS,
        task: str | None = None,
        families: Sequence[str] = (),
        kinds: Sequence[str] = tuple(KINDS.values()),
        areas: Sequence[str] = (),
        status: Sequence[str] = (),
        min_rung: int | None = None,
        years: tuple[int | None, int | None] | None = None,
        shown: Mapping[str, int] | None = None,
    ) -> tuple[Recollection, ...]:
        """The best items for an observation or a situation: whole ones, whose texts together fit the budget.

        `task` keeps a task's own lessons and the papers about it; None searches everything. `areas` asks for papers of
        these areas (without it a task gets none about search and science), `status` and `min_rung` filter experiments,
        `years` (first, last; None is open) papers, `families` both. `shown` (key -> times) lowers what was shown.

        Raises:
            MemoryUnavailable, Mismatch: see `index`.
        """
        where = filters(
            Terms(
                task=task,
                kinds=tuple(kinds),
                families=tuple(families),
                areas=tuple(areas),
                status=tuple(status),
                min_rung=min_rung,
                years=years,
            )
        )
        text = question(query)
        found = await self._run(lambda index: index.search(text, limit=k, where=where, shown=shown))
        return within(found, budget_tokens)

    async def is_new(self, text: str, *, task: str | None = None) -> Newness:
        """Nearest published insight, nearest own experiment, and how near. Papers count whatever their task."""
        own = filters(Terms(task=task, kinds=("analysis",)))[ANALYSES]
        return await self._run(
            lambda index: novelty.newness(
                [*index.near(COGNITION, text, limit=1), *index.near(ANALYSES, text, limit=1, where=own)]
            )
        )

    async def is_dead_end(
        self,
        text: str,
        *,
        family: str | None = None,
        task: str | None = None,
        gained: Sequence[str] = (),
        lost: Sequence[str] = (),
    ) -> DeadEnd:
        """What was tried like it and how it fared against its parents. `gained` and `lost` are the operators that the
        proposal adds to and takes from its base; without them the likeness of the texts decides, and counts half."""
        where = filters(Terms(task=task, kinds=("analysis",)))[ANALYSES]

        def ask(index: Index) -> DeadEnd:
            near = index.near(ANALYSES, text, limit=NEAR, where=where)
            if gained or lost:
                known = {found.id for found, _ in near}
                alike = index.changed(gained, lost, where=where)
                near += [(found, 0.0) for found in alike if found.id not in known]
            return novelty.dead_end(near, gained=gained, lost=lost, family=family)

        return await self._run(ask)

    async def paper(self, key: str) -> tuple[Entry, ...]:
        """Every insight of one paper, in its file's order; none for an unknown key."""
        where = Where(any_of={"key": (key,)})
        found = await self._run(lambda index: [one.item for one in index.all(COGNITION, where)])
        return tuple(sorted((item for item in found if isinstance(item, Entry)), key=lambda entry: entry.number))

    async def remember_principle(self, principle: Principle) -> None:
        """Write a principle, or rewrite it.

        Raises:
            MemoryUnavailable, Mismatch: see `index`; the archive has it too.
        """
        await self._run(lambda index: index.put_principles([principle]))

    async def forget_principle(self, id: str) -> None:
        """Strike a principle; an unknown one is ignored."""
        await self._run(lambda index: index.store.delete(PRINCIPLES, [principle_id(id)]))

    async def principles(self, *, task: str | None = None) -> tuple[Principle, ...]:
        """All that hold for a task (None: all there are), the newest first."""
        where = filters(Terms(task=task, kinds=("principle",)))[PRINCIPLES]
        found = await self._run(lambda index: [one.item for one in index.all(PRINCIPLES, where)])
        kept = [item for item in found if isinstance(item, Principle)]
        return tuple(sorted(kept, key=lambda one: (one.updated_at, one.id), reverse=True))

    async def remember(self, lesson: Lesson) -> None:
        """Keep what an experiment taught. Acknowledged (when this returns) means: in the store's write-ahead log, or on
        disk in the queue, from where the next call that reaches the store moves it.

        Raises:
            MemoryUnavailable: only when the queue cannot be written *and* the store is out of reach (the archive still
                has the analysis).
        """
        await asyncio.to_thread(self._remember, lesson)

    def _remember(self, lesson: Lesson) -> None:
        waits = True
        try:
            self.outbox.put(lesson)
        except OSError as error:
            waits = False
            log.warning("lesson_not_queued", experiment=lesson.experiment, error=str(error))
        try:
            index = self.index()  # moves the queue into the store
            if not waits:
                index.put_lessons([lesson])
        except MemoryFault as error:
            if not waits:
                raise MemoryUnavailable(
                    f"Neither the memory nor its queue in {self.folder} could be written; free some disk space."
                ) from error
            log.warning("lesson_waits", experiment=lesson.experiment, error=str(error))

    def _drain(self, index: Index) -> None:
        """Waiting lessons into the store. A file is removed when its lesson is on the disk there; one that the store
        refuses stays and stops neither the others nor the search."""
        done = []
        for path, lesson in self.outbox.waiting():
            try:
                index.put_lessons([lesson])
            except MemoryUnavailable:
                raise
            except MemoryFault as error:
                log.warning("lesson_refused", experiment=lesson.experiment, error=str(error))
                continue
            done.append(path)
            log.info("lesson_remembered", experiment=lesson.experiment)
        if done:
            index.store.flush(ANALYSES)
        for path in done:
            path.unlink(missing_ok=True)

    async def load_builtin(self, *, progress: Progress | None = None) -> int:
        """Bring the built-in cognition base into the store; gives how many insights were new or changed.

        Raises:
            InvalidPaper: a file of the base is broken.
        """
        return await self._run(lambda index: self._load_builtin(index, progress))

    def _load_builtin(self, index: Index, progress: Progress | None) -> int:
        from move37.memory.papers import builtin_entries
        from move37.memory.prebuilt import Prebuilt

        entries = builtin_entries()
        written = index.put_entries(entries, progress=progress, embedder=Prebuilt(index.embedder))
        keys = {entry.key for entry in entries}
        gone = [
            found.id for found in index.all(COGNITION, Where(any_of={"origin": ("builtin",)})) if found.key not in keys
        ]
        index.store.delete(COGNITION, gone)
        if written or gone:
            index.store.flush(COGNITION)
            log.info("builtin_loaded", insights=written, forgotten=len(gone))
        return written

    async def close(self) -> None:
        """Release the store. What was acknowledged is safe whether or not this is called."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """The same, without a loop."""
        with self._lock:
            if self._index is not None:
                self._index.store.close()
                self._index, self._copied = None, False

    async def _run(self, work: Callable[[Index], T]) -> T:
        def locked() -> T:
            with self._lock:
                return work(self.index())

        return await asyncio.to_thread(locked)


def within(found: Sequence[Found], budget: int) -> tuple[Recollection, ...]:
    """The items as recollections, each whole, whose texts need at most `budget` tokens together, best first. What does
    not fit is left out, and a later, shorter one may take its room."""
    items = [recollection(item) for item in found]
    fitting = rank.whole([rank.tokens(render.recollection(item)) for item in items], budget)
    return tuple(items[place] for place in fitting)


def recollection(found: Found) -> Recollection:
    """A found item as agents read it, field by field; signs that hide or imitate are taken out of foreign text."""
    item = found.item
    if isinstance(item, Entry):
        return Recollection(
            key=found.key,
            id=found.id,
            kind=found.kind,
            title=neutralize(item.title),
            claim=neutralize(": ".join(part for part in (item.name, item.insight) if part)),
            why=neutralize(item.mechanism),
            remedy=neutralize(item.remedy),
            equations=neutralize(item.equations),
            complexity=neutralize(item.complexity),
            families=item.families,
            symptoms=tuple(neutralize(symptom) for symptom in item.symptoms),
            operators=item.operators,
            source=f"https://arxiv.org/abs/{item.arxiv}" if item.arxiv else neutralize(item.source),
            score=found.score,
            matched=found.why,
        )
    if isinstance(item, Principle):
        return Recollection(
            key=found.key,
            id=found.id,
            kind=found.kind,
            title=f"Principle {neutralize(item.id)}",
            claim=neutralize(item.text),
            supports=item.supports,
            contradicts=item.contradicts,
            families=item.families,
            operators=item.operators,
            score=found.score,
            matched=found.why,
        )
    return Recollection(
        key=found.key,
        id=found.id,
        kind=found.kind,
        title=neutralize(item.name),
        claim=neutralize(item.seen),
        why=neutralize(item.why),
        next=neutralize(item.next),
        lesson=neutralize(item.lesson),
        evidence=render.evidence_of(item),
        families=(item.family,) if item.family else (),
        symptoms=tuple(neutralize(symptom) for symptom in item.symptoms),
        probes=item.probes,
        operators=item.operators,
        score=found.score,
        matched=found.why,
    )
