"""Qdrant's own engine in this process (qdrant-edge-py): the default.

One shard (a folder) a collection. Its manifest (model, dimension, schema) stands in it as `move37.json`, and once more
beside it, so that a lost one is found again; a shard without any is set aside, never removed. One process at a time
holds a shard; a second one gets `HomeLocked`, and reads a copy (`snapshot.py`), for which every write here holds the
folder's `writing.lock`. A write is acknowledged when it is in the engine's write-ahead log, which outlives a killed
process; `flush` also puts it on the disk, `optimize` builds the graph.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog
from filelock import Timeout

from move37.memory import edge_convert, manifests, shared
from move37.memory.edge_convert import MANIFEST, translate
from move37.memory.errors import (
    BackendMissing,
    HomeLocked,
    MemoryFault,
    NotFound,
    StoreBroken,
)
from move37.memory.files import require_room, writing_lock
from move37.memory.schema import compare, manifest
from move37.memory.store import EF, Collection, Hit, Nearest, Point, Where

log = structlog.get_logger()
PANIC = "PanicException"  # of the engine; its class has no public name
PATIENCE_S = 60.0  # that a writer waits for a reader's copy
PAGE = 512  # points in one page of a scan
OPTIMIZE_FROM = 256  # points written, from which closing builds the graph


class EdgeStore:
    """Collections under a folder."""

    def __init__(self, folder: Path) -> None:
        try:
            import qdrant_edge
        except ImportError as error:
            raise BackendMissing("qdrant-edge-py is not installed; install it, or give the URL of a server.") from error
        self._engine = qdrant_edge
        self._folder = folder
        self._shards: dict[str, Any] = {}
        self._unoptimized: Counter[str] = Counter()  # points written since the graph was built
        self._filled: set[str] = set()  # shards that were seen with points

    def open(self, collection: Collection) -> int:
        """Load or create the shard."""
        path = self._folder / collection.name
        if collection.name not in self._shards:
            known = self._manifest(path)
            if known is not None:
                compare(collection, known)
            opened = self._call(lambda: shared.acquire(path, lambda: self._load(path, collection)), path)
            self._shards[collection.name] = opened
        known = self._manifest(path)
        if known is None:
            raise StoreBroken(f"The memory in {path} lost its {MANIFEST} while it was opened; try again.")
        compare(collection, known)
        stored = known
        if not manifests.twin(path).exists():  # made before there were two
            self._call(lambda: manifests.write(path, stored), path)
        return int(known["schema"])

    def stamp(self, collection: Collection) -> None:
        """Replace both manifests, on the disk when it returns, and index the fields that have no index."""
        if collection.name in self._shards:
            with self._writing():
                self._index_fields(self._shards[collection.name], collection)
        path = self._folder / collection.name
        self._call(lambda: manifests.write(path, manifest(collection)), path)

    def _manifest(self, path: Path) -> dict[str, Any] | None:
        known: dict[str, Any] | None = self._call(lambda: manifests.read(path), path)
        return known

    def _load(self, path: Path, collection: Collection) -> Any:
        with self._writing():  # loading writes too: what stands in the log alone goes into the other files
            if self._manifest(path) is not None:
                return self._call(lambda: self._engine.EdgeShard.load(str(path)), path)
            if path.exists():
                self._make_way(path)
            path.mkdir(parents=True)
            shard = self._call(
                lambda: self._engine.EdgeShard.create(str(path), edge_convert.config(self._engine, collection)), path
            )
            self._index_fields(shard, collection)
            self._call(shard.flush)
            self.stamp(collection)
            return shard

    def _make_way(self, path: Path) -> None:
        """What stands there without a manifest: an interrupted creation, which holds nothing and is deleted, or
        anything else, which is kept. Nobody creates it right now: that is done under the folder's lock.
        """
        if self._holds_nothing(path):
            self._call(lambda: shutil.rmtree(path), path)
        else:
            self._call(lambda: manifests.set_aside(path, reason=f"it has no {MANIFEST}"), path)

    def _holds_nothing(self, path: Path) -> bool:
        if not (path / "segments").exists():
            return path.is_dir() and all(one.is_dir() for one in path.rglob("*"))
        try:
            shard = self._call(lambda: self._engine.EdgeShard.load(str(path)), path)
        except HomeLocked:
            raise
        except MemoryFault as error:
            log.warning("shard_unreadable", path=str(path), error=str(error))
            return False
        try:
            return int(self._call(lambda: shard.count(self._engine.CountRequest(exact=True)))) == 0
        finally:
            self._call(shard.close)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Held while files change, so that a copy made under it is whole. Raises `NoRoom`, and `HomeLocked` where a
        reader that was stopped never lets go."""
        require_room(self._folder)
        self._call(lambda: self._folder.mkdir(parents=True, exist_ok=True))
        lock = writing_lock(self._folder)
        try:
            self._call(lambda: lock.acquire(timeout=PATIENCE_S))
        except MemoryFault as error:
            if not isinstance(error.__cause__, Timeout):
                raise
            raise HomeLocked(
                f"Another process has been copying the memory in {self._folder} for {PATIENCE_S:.0f} s; end it."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _update(self, name: str, operation: Any) -> None:
        shard = self._shard(name)
        with self._writing():
            self._call(lambda: shard.update(operation))

    def _index_fields(self, shard: Any, collection: Collection) -> None:
        for name, kind in collection.indexes.items():
            schema = getattr(self._engine.PayloadSchemaType, kind.value.capitalize())
            self._call(lambda n=name, s=schema: shard.update(self._engine.UpdateOperation.create_field_index(n, s)))

    def upsert(self, name: str, points: Sequence[Point]) -> None:
        """In the write-ahead log when it returns."""
        if not points:
            return
        rows = self._call(lambda: [edge_convert.row(self._engine, point) for point in points])
        self._update(name, self._engine.UpdateOperation.upsert_points(rows))
        self._unoptimized[name] += len(points)

    def nearest(
        self, name: str, queries: Sequence[Nearest], *, limit: int, where: Where | None = None
    ) -> list[list[Hit]]:
        """One batch: the engine hands it to its threads once, not once a query."""
        engine = self._engine
        shard = self._shard(name)

        def ask(query: Nearest) -> Any:
            return engine.QueryRequest(
                limit,
                query=engine.Query.Nearest(edge_convert.vector(engine, query.vector), using=query.using),
                filter=edge_convert.condition(engine, where),
                params=engine.SearchParams(exact=query.exact, hnsw_ef=EF),
            )

        answers = self._call(lambda: shard.query_batch(engine.QueryBatchRequest([ask(query) for query in queries])))
        return [[Hit(edge_convert.spelled(hit.id.int), hit.score) for hit in answer] for answer in answers]

    def fetch(
        self, name: str, ids: Sequence[str], *, vectors: bool = False, fields: Sequence[str] | None = None
    ) -> dict[str, Point]:
        """By id."""
        if not ids:
            return {}
        payload = True if fields is None else list(fields)
        found = self._call(lambda: self._shard(name).retrieve(list(ids), payload, vectors))
        return {point.id: point for point in (edge_convert.point_of(self._engine, record) for record in found)}

    def scan(
        self, name: str, *, where: Where | None = None, vectors: bool = False, after: str | None = None
    ) -> Iterator[Point]:
        """Page by page."""
        shard = self._shard(name)
        condition = edge_convert.condition(self._engine, where)
        offset: Any = after
        while True:
            records, offset = self._call(
                lambda o=offset: shard.scroll(
                    self._engine.ScrollRequest(
                        offset=o,
                        limit=PAGE,
                        filter=condition,
                        with_payload=True,
                        with_vector=vectors,
                    )
                )
            )
            for record in records:
                if str(record.id) != after:
                    yield edge_convert.point_of(self._engine, record)
            if offset is None:
                return

    def count(self, name: str, where: Where | None = None) -> int:
        """Exactly."""
        request = self._engine.CountRequest(exact=True, filter=edge_convert.condition(self._engine, where))
        return int(self._call(lambda: self._shard(name).count(request)))

    def is_empty(self, name: str) -> bool:
        """From the shard's own number, which is asked while it is none; deleted points may make it say no."""
        if name not in self._filled and int(self._call(self._shard(name).info).points_count):
            self._filled.add(name)
        return name not in self._filled

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """In the write-ahead log when it returns."""
        if ids:
            self._update(name, self._engine.UpdateOperation.delete_points(list(ids)))

    def drop(self, name: str) -> None:
        """Close the shard and remove its folder; what another memory of this process has open is emptied instead."""
        if not (alone := shared.alone(self._folder / name)):
            self.delete(name, [point.id for point in self.scan(name)])
        if self._shards.pop(name, None) is not None:
            shared.release(self._folder / name, self._close_shard)
        if not alone:
            return
        shutil.rmtree(self._folder / name, ignore_errors=True)
        manifests.twin(self._folder / name).unlink(missing_ok=True)

    def flush(self, name: str) -> None:
        """To the disk."""
        with self._writing():
            self._call(self._shard(name).flush)

    def optimize(self, name: str) -> None:
        """Optimise, then flush."""
        shard = self._shard(name)
        with self._writing():
            self._call(shard.optimize)
            self._call(shard.flush)
        self._unoptimized[name] = 0

    def close(self) -> None:
        """Close every shard; where much was written, its graph is built first."""
        while self._shards:
            name = next(iter(self._shards))
            try:
                if self._unoptimized[name] >= OPTIMIZE_FROM:
                    self.optimize(name)
            except MemoryFault as error:  # the points are in the log already, and the next close tries again
                log.warning("not_optimized", collection=name, error=str(error))
            finally:
                del self._shards[name]
                shared.release(self._folder / name, self._close_shard)

    def _close_shard(self, shard: Any) -> None:
        """Closing writes what was not flushed, so it holds the lock; where there is none to be had, it closes."""
        with ExitStack() as held:
            with suppress(MemoryFault):
                held.enter_context(self._writing())
            self._call(shard.close)

    def _shard(self, name: str) -> Any:
        if name not in self._shards:
            raise NotFound(f"There is no collection {name!r} here.")
        return self._shards[name]

    def _call(self, work: Any, path: Path | None = None) -> Any:
        """Run, and translate: the engine raises nothing but bare `Exception`s with a text, and where it meets what it
        never expected (a file of zeros), a panic, which is not even one of those."""
        try:
            return work()
        except MemoryFault:
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != PANIC:
                raise
            raise translate(error, path or self._folder) from error
