"""What agents call: `open_memory` gives a `Memory` whose methods run in threads, within budgets, and lose no lesson.

The store is opened at the first use, so that a command which only asks where memory lies pays nothing. Reading raises
the errors of `errors.py` when the store cannot be used; `remember` does not: the lesson is on disk first (this is when
it is acknowledged: neither a killed process nor a dead server loses it any more) and moves into the store when that can
be reached, now or at a later call. Not here: which engine (`backend.py`), ranking (`index.py`, `rank.py`),
files (`papers.py`, `ingest.py`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from move37.memory import novelty
from move37.memory.backend import open_index
from move37.memory.builtin import load
from move37.memory.embed import open_embedder
from move37.memory.embedder_protocol import Embedder
from move37.memory.errors import HomeLocked, MemoryFault, MemoryUnavailable, NotFound
from move37.memory.filters import filters
from move37.memory.found import KINDS
from move37.memory.index import Index, Progress
from move37.memory.outbox import Outbox, drain
from move37.memory.parcels import Parcels, take_in
from move37.memory.recollect import within
from move37.memory.records import DeadEnd, Entry, Lesson, Newness, Recollection, RecordedPrinciple, Situation
from move37.memory.schema import ANALYSES, COGNITION, PRINCIPLES
from move37.memory.situation import question

log = structlog.get_logger()
T = TypeVar("T")
BUDGET_TOKENS = 2400  # six whole items: an insight has about 250, a lesson about 200
PARCELS = 2  # of an import, taken in at one call: some 500 points, half a second
PATIENCE_S = 20.0  # that a campaign's start waits for another process
NEAR = 12  # own experiments that a proposal's text is compared with


def open_memory(
    home: Path,
    *,
    url: str | None = None,
    api_key: str | None = None,
    embedding_model: str | None = None,
    embedder: Embedder | None = None,
    read_only: bool = False,
) -> Memory:
    """The memory of a home: embedded under `home/memory`, or on the Qdrant server of a URL. Opens nothing yet.

    `embedding_model` is a sentence-transformers model's name or folder; None is the one that a package carries. With
    `read_only` an embedded home is read from a copy, with the lessons and imports that wait.
    """
    return Memory(
        home, url=url, api_key=api_key, embedding_model=embedding_model, embedder=embedder, read_only=read_only
    )


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
        read_only: bool = False,
    ) -> None:
        self.folder = home / "memory"
        self.url = url
        self._api_key = api_key
        self._embedder = embedder or open_embedder(embedding_model)
        self._read_only = read_only
        self._copied = False  # a copy is read, so that no writer waits
        self._index: Index | None = None
        self._lock = threading.RLock()
        self.outbox = Outbox(self.folder / "queue")
        self.parcels = Parcels(self.folder / "queue")

    def index(self, *, everything: bool = False) -> Index:
        """The opened index (opens it, and brings waiting lessons in, and some, or `everything`, of what imports left).

        Raises:
            MemoryUnavailable: locked by another process, unreachable, refused.
            Mismatch: built with another model or by a newer program.
        """
        with self._lock:
            if self._index is None:
                self._index, self._copied = open_index(
                    self.folder,
                    url=self.url,
                    api_key=self._api_key,
                    embedder=self._embedder,
                    outbox=self.outbox if self._read_only else None,
                )
            if not self._copied:
                drain(self.outbox, self._index)
                take_in(self.parcels, self._index, most=None if everything else PARCELS)
            return self._index

    async def recall(
        self,
        query: str | Situation,
        *,
        k: int = 6,
        budget_tokens: int = BUDGET_TOKENS,
        task: str | None = None,
        kinds: Sequence[str] = tuple(KINDS.values()),
        shown: Mapping[str, int] | None = None,
    ) -> tuple[Recollection, ...]:
        """The best items for an observation or a situation: whole ones, whose texts together fit the budget.

        `task` keeps a task's own lessons and the papers about it; None searches everything. `shown` (key -> times)
        lowers what was shown.

        Raises:
            MemoryUnavailable, Mismatch: see `index`.
        """
        where = filters(task, kinds)
        text = question(query)
        found = await self._run(lambda index: index.search(text, limit=k, where=where, shown=shown))
        return within(found, budget_tokens)

    async def is_new(self, text: str, *, task: str | None = None) -> Newness:
        """Nearest published insight, nearest own experiment, and how near. Papers count whatever their task."""
        own = filters(task)[ANALYSES]
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
        where = filters(task)[ANALYSES]

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
        try:
            found = await self._run(lambda index: index.get(key))
        except NotFound:
            return ()
        return tuple(one.item for one in found if isinstance(one.item, Entry))

    async def remember_principle(self, principle: RecordedPrinciple) -> None:
        """Write a principle, or rewrite it.

        Raises:
            MemoryUnavailable, Mismatch: see `index`; the archive has it too.
        """
        await self._run(lambda index: index.put_principles([principle]))

    async def forget_principle(self, id: str, *, task: str = "", data: str = "") -> None:
        """Strike a principle of a task and its data; an unknown one is ignored."""
        await self._run(lambda index: index.strike_principle(id, task=task, data=data))

    async def principles(self, *, task: str | None = None) -> tuple[RecordedPrinciple, ...]:
        """All that hold for a task (None: all there are), the newest first."""
        where = filters(task)[PRINCIPLES]
        found = await self._run(lambda index: [one.item for one in index.all(PRINCIPLES, where)])
        kept = [item for item in found if isinstance(item, RecordedPrinciple)]
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

    async def load_builtin(self, *, progress: Progress | None = None) -> int:
        """Bring the built-in cognition base into the store; gives how many insights were new or changed.

        Raises:
            InvalidPaper: a file of the base is broken.
        """
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await self._run(lambda index: load(index, progress))
            except HomeLocked:  # an import hands over what it embedded
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.5)

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
