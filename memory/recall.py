"""What agents call: `open_memory` gives a `Memory` whose methods run in threads, within budgets, and lose no lesson.

The store is opened at the first use, so that a command which only asks where memory lies pays nothing. Reading raises
the errors of `errors.py` when the store cannot be used; `remember` does not: the lesson is on disk first (this is when
it is acknowledged: neither a killed process nor a dead server loses it any more) and moves into the store when that can
be reached, now or at a later call. Not here: ranking (`library.py`, `rank.py`), files (`papers.py`, `ingest.py`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from move37.memory import questions, rank
from move37.memory.embed import Embedder, MiniLM
from move37.memory.errors import MemoryFault, MemoryUnavailable
from move37.memory.fence import plain
from move37.memory.library import Found, Library, Progress, Reranker
from move37.memory.migrate import upgrade
from move37.memory.points import gist
from move37.memory.queue import LessonQueue
from move37.memory.records import DeadEnd, Lesson, Newness, Recollection
from move37.memory.schema import ANALYSES, COGNITION, SCHEMA
from move37.memory.store import Store, Where

log = structlog.get_logger()
T = TypeVar("T")


def open_memory(
    home: Path,
    *,
    url: str | None = None,
    api_key: str | None = None,
    embedder: Embedder | None = None,
    reranker: Reranker | None = None,
) -> Memory:
    """The memory of a home: embedded under `home/memory`, or on the Qdrant server of a URL. Opens nothing yet."""
    return Memory(home, url=url, api_key=api_key, embedder=embedder, reranker=reranker)


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
        embedder: Embedder | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self.folder = home / "memory"
        self.url = url
        self._api_key = api_key
        self._embedder = embedder or MiniLM()
        self._reranker = reranker
        self._library: Library | None = None
        self._lock = threading.RLock()
        self.queue = LessonQueue(self.folder / "queue")

    def library(self) -> Library:
        """The opened library (opens it, and brings waiting lessons in).

        Raises:
            MemoryUnavailable: locked by another process, unreachable, refused.
            Mismatch: built with another model or by a newer program.
        """
        with self._lock:
            if self._library is None:
                store = open_store(self.folder, url=self.url, api_key=self._api_key)
                try:
                    library = Library(store, self._embedder, reranker=self._reranker)
                    for name, schema in library.schemas.items():
                        if schema < SCHEMA:
                            upgrade(library, name, schema)
                    self._library = library
                except BaseException:
                    store.close()
                    raise
            self._drain(self._library)
            return self._library

    async def recall(
        self,
        query: str,
        *,
        k: int = 6,
        budget_tokens: int = 900,
        families: Sequence[str] = (),
        kinds: Sequence[str] = ("cognition", "analysis"),
        status: Sequence[str] = (),
        min_rung: int | None = None,
        years: tuple[int | None, int | None] | None = None,
    ) -> tuple[Recollection, ...]:
        """The best items for an observation, their texts together within the budget.

        `status` and `min_rung` filter own experiments, `years` (first, last; None is open) papers, `families` both.

        Raises:
            MemoryUnavailable, Mismatch: see `library`.
        """
        return await self._run(
            lambda library: self._recall(
                library, query, k, budget_tokens, tuple(families), tuple(kinds), tuple(status), min_rung, years
            )
        )

    def _recall(
        self,
        library: Library,
        query: str,
        k: int,
        budget: int,
        families: tuple[str, ...],
        kinds: tuple[str, ...],
        status: tuple[str, ...],
        min_rung: int | None,
        years: tuple[int | None, int | None] | None,
    ) -> tuple[Recollection, ...]:
        shared = {"families": families} if families else {}
        own = shared | ({"status": status} if status else {})
        where: dict[str, Where | None] = {}
        if "cognition" in kinds:
            where[COGNITION] = Where(any_of=shared, between={"year": years} if years else {})
        if "analysis" in kinds:
            where[ANALYSES] = Where(any_of=own, between={"rung": (min_rung, None)} if min_rung is not None else {})
        return within(library.search(query, limit=k, where=where), budget)

    async def is_new(self, text: str) -> Newness:
        """Nearest published insight, nearest own experiment, and how near."""

        def ask(library: Library) -> Newness:
            near = [pair for name in (COGNITION, ANALYSES) for pair in library.near(name, text, limit=1)]
            return questions.newness(near, [plain(gist(found.item)) for found, _ in near])

        return await self._run(ask)

    async def is_dead_end(self, text: str, *, family: str | None = None) -> DeadEnd:
        """What was tried like it, how it failed, and how much evidence there is."""

        def ask(library: Library) -> DeadEnd:
            where = Where(any_of={"families": (family,)}) if family else None
            near = library.near(ANALYSES, text, limit=12, where=where)
            return questions.dead_end(near, [plain(gist(found.item)) for found, _ in near])

        return await self._run(ask)

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
            self.queue.put(lesson)
        except OSError as error:
            waits = False
            log.warning("lesson_not_queued", experiment=lesson.experiment, error=str(error))
        try:
            library = self.library()  # moves the queue into the store
            if not waits:
                library.put_lessons([lesson])
        except MemoryFault as error:
            if not waits:
                raise MemoryUnavailable(
                    f"Neither the memory nor its queue in {self.folder} could be written; free some disk space."
                ) from error
            log.warning("lesson_waits", experiment=lesson.experiment, error=str(error))

    def _drain(self, library: Library) -> None:
        """Waiting lessons into the store. A file is removed when its lesson is on the disk there; one that the store
        refuses stays and stops neither the others nor the search."""
        done = []
        for path, lesson in self.queue.waiting():
            try:
                library.put_lessons([lesson])
            except MemoryUnavailable:
                raise
            except MemoryFault as error:
                log.warning("lesson_refused", experiment=lesson.experiment, error=str(error))
                continue
            done.append(path)
            log.info("lesson_remembered", experiment=lesson.experiment)
        if done:
            library.store.settle(ANALYSES)
        for path in done:
            path.unlink(missing_ok=True)

    async def load_builtin(self, *, progress: Progress | None = None) -> int:
        """Bring the built-in cognition base into the store; gives how many insights were new or changed.

        Raises:
            InvalidPaper: a file of the base is broken.
        """
        return await self._run(lambda library: self._load_builtin(library, progress))

    def _load_builtin(self, library: Library, progress: Progress | None) -> int:
        from move37.memory.papers import builtin_entries
        from move37.memory.prebuilt import Prebuilt

        entries = builtin_entries()
        written = library.put_entries(entries, progress=progress, embedder=Prebuilt(library.embedder))
        keys = {entry.key for entry in entries}
        gone = [
            found.id
            for found in library.all(COGNITION, Where(any_of={"origin": ("builtin",)}))
            if found.key not in keys
        ]
        library.store.delete(COGNITION, gone)
        if written or gone:
            library.store.settle(COGNITION)
            log.info("builtin_loaded", insights=written, forgotten=len(gone))
        return written

    async def close(self) -> None:
        """Release the store. What was acknowledged is safe whether or not this is called."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """The same, without a loop."""
        with self._lock:
            if self._library is not None:
                self._library.store.close()
                self._library = None

    async def _run(self, work: Callable[[Library], T]) -> T:
        def locked() -> T:
            with self._lock:
                return work(self.library())

        return await asyncio.to_thread(locked)


def within(found: Sequence[Found], budget: int) -> tuple[Recollection, ...]:
    """Items as recollections whose texts need at most `budget` tokens together; what gets no room is left out."""
    texts = [plain(gist(item.item)) for item in found]
    rooms = rank.share([rank.tokens(text) for text in texts], budget)
    out = []
    for item, text, room in zip(found, texts, rooms, strict=True):
        short = rank.cut(text, room)
        if short:
            out.append(questions.recollection(item, short))
    return tuple(out)
