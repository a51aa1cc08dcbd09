"""What `server.py` and `local.py` share: our store protocol over qdrant-client, and its errors in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from move37.memory.errors import (
    HomeLocked,
    MemoryFault,
    MemoryUnavailable,
    NotFound,
    ServerRefused,
    ServerUnreachable,
    StoreBroken,
    WrongDimension,
)
from move37.memory.schema import compare, manifest
from move37.memory.store import EF, EF_BUILD, LINKS, Collection, Hit, Nearest, Point, Sparse, Where

if TYPE_CHECKING:
    from qdrant_client import QdrantClient
    from qdrant_client.http import models

PAGE = 256  # points in one page of a scan, or in one write
T = TypeVar("T")


class ClientStore:
    """Collections behind a qdrant-client, remote or local."""

    def __init__(self, client: QdrantClient, *, where: str, release: Callable[[], None] | None = None) -> None:
        self._client = client
        self._release: Callable[[], None] | None = release or client.close
        self._where = where  # for messages: a URL or a folder

    def open(self, collection: Collection) -> int:
        """Create it, or compare what is there; the shape stands in the collection's metadata."""
        schema = collection.schema
        if self._call(lambda: self._client.collection_exists(collection.name)):
            stored = self._call(lambda: self._client.get_collection(collection.name)).config.metadata or {}
            compare(collection, stored)
            schema = int(stored["schema"])
        else:
            self._create(collection)
        return schema

    def stamp(self, collection: Collection) -> None:
        """Replace the metadata."""
        self._index_fields(collection)
        self._call(lambda: self._client.update_collection(collection.name, metadata=manifest(collection)))

    def _create(self, collection: Collection) -> None:
        from qdrant_client.http import models

        vectors = {
            name: models.VectorParams(
                size=collection.dimension,
                distance=models.Distance.COSINE,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
                hnsw_config=models.HnswConfigDiff(m=LINKS, ef_construct=EF_BUILD),
            )
            for name in collection.dense
        }
        words = {name: models.SparseVectorParams(modifier=models.Modifier.IDF) for name in collection.sparse}
        self._call(
            lambda: self._client.create_collection(
                collection.name,
                vectors_config=vectors,
                sparse_vectors_config=words,
                metadata=manifest(collection),
            )
        )
        self._index_fields(collection)

    def _index_fields(self, collection: Collection) -> None:
        from qdrant_client.http import models

        for field, kind in collection.indexes.items():
            schema = models.PayloadSchemaType(kind.value)
            self._call(lambda f=field, s=schema: self._client.create_payload_index(collection.name, f, s, wait=True))  # type: ignore[misc]

    def upsert(self, name: str, points: Sequence[Point]) -> None:
        """Waits until the server has applied them, so that they are in its log and can be found."""
        rows = self._call(lambda: [_row(point) for point in points])
        for start in range(0, len(rows), PAGE):
            page = rows[start : start + PAGE]
            self._call(lambda p=page: self._client.upsert(name, p, wait=True))  # type: ignore[misc]

    def nearest(
        self, name: str, queries: Sequence[Nearest], *, limit: int, where: Where | None = None
    ) -> list[list[Hit]]:
        """One request for all queries."""
        from qdrant_client.http import models

        def ask(query: Nearest) -> models.QueryRequest:
            return models.QueryRequest(
                query=_vector(query.vector),
                using=query.using,
                filter=_filter(where),
                limit=limit,
                params=models.SearchParams(exact=query.exact, hnsw_ef=EF),
            )

        answers = self._call(lambda: self._client.query_batch_points(name, [ask(query) for query in queries]))
        return [[Hit(str(hit.id), float(hit.score)) for hit in answer.points] for answer in answers]

    def fetch(
        self, name: str, ids: Sequence[str], *, vectors: bool = False, fields: Sequence[str] | None = None
    ) -> dict[str, Point]:
        """By id."""
        if not ids:
            return {}
        payload = True if fields is None else list(fields)
        found = self._call(lambda: self._client.retrieve(name, list(ids), with_payload=payload, with_vectors=vectors))
        return {str(record.id): _point(record) for record in found}

    def scan(
        self, name: str, *, where: Where | None = None, vectors: bool = False, after: str | None = None
    ) -> Iterator[Point]:
        """Page by page."""
        offset: Any = after
        while True:
            records, offset = self._call(
                lambda o=offset: self._client.scroll(  # type: ignore[misc]
                    name, scroll_filter=_filter(where), limit=PAGE, offset=o, with_payload=True, with_vectors=vectors
                )
            )
            for record in records:
                if str(record.id) != after:
                    yield _point(record)
            if offset is None:
                return

    def count(self, name: str, where: Where | None = None) -> int:
        """Exactly."""
        return int(self._call(lambda: self._client.count(name, count_filter=_filter(where), exact=True)).count)

    def is_empty(self, name: str) -> bool:
        """Never said: asking a server costs as much as the search."""
        return False

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Waits until it is done."""
        from qdrant_client.http import models

        if ids:
            chosen = models.PointIdsList(points=list(ids))
            self._call(lambda: self._client.delete(name, chosen, wait=True))

    def drop(self, name: str) -> None:
        """Remove the collection."""
        self._call(lambda: self._client.delete_collection(name))

    def flush(self, name: str) -> None:
        """A server flushes on its own."""

    def optimize(self, name: str) -> None:
        """A server builds indexes on its own."""

    def close(self) -> None:
        """Close connections and files."""
        if self._release is not None:
            release, self._release = self._release, None
            self._call(release)

    def _call(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except MemoryFault:
            raise
        except Exception as error:
            raise translate(error, self._where) from error


def translate(error: Exception, where: str) -> MemoryFault:
    """Anything that qdrant-client, httpx or the local files raise, as one of our errors."""
    status = getattr(error, "status_code", None)
    text = " ".join(str(error).split())[:300]
    if status in (401, 403):
        return ServerRefused(f"The memory server at {where} refuses the API key; set QDRANT_API_KEY.")
    if status == 404 or ("not found" in text.lower() and isinstance(error, ValueError)):
        return NotFound(f"The memory at {where} has no such collection: {text}.")
    if (
        "dimension error" in text
        or "could not broadcast" in text
        or "not aligned" in text
        or "mismatch in its core" in text
    ):
        return WrongDimension(f"A vector does not fit the collection at {where}: {text}.")
    if "already accessed by another instance" in text or "AlreadyLocked" in type(error).__name__:
        return HomeLocked(f"Another process is using the memory in {where}; wait until it ends, or use a server.")
    kind = type(error).__name__
    refused = isinstance(error, OSError) or kind in ("ResponseHandlingException", "ConnectError", "ReadTimeout")
    if refused or status in (429, 502, 503, 504):
        return ServerUnreachable(f"The memory at {where} cannot be reached ({text}); is the server up?")
    if isinstance(error, MemoryError):
        return MemoryUnavailable("There is no memory left to load the collections.")
    return StoreBroken(f"The memory at {where} failed: {kind}: {text}.")


def _vector(vector: Any) -> Any:
    from qdrant_client.http import models

    if isinstance(vector, Sparse):
        return models.SparseVector(indices=list(vector.indices), values=list(vector.values))
    return vector.tolist()


def _row(point: Point) -> models.PointStruct:
    from qdrant_client.http import models

    vectors: dict[str, Any] = {key: rows.tolist() for key, rows in point.dense.items() if len(rows)}
    vectors |= {key: _vector(terms) for key, terms in point.sparse.items() if terms.indices}
    return models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload))


def _point(record: Any) -> Point:
    import numpy as np

    dense, sparse = {}, {}
    vectors = record.vector if isinstance(record.vector, dict) else {}
    for key, value in vectors.items():
        if hasattr(value, "indices"):
            sparse[key] = Sparse(tuple(value.indices), tuple(value.values))
        else:
            dense[key] = np.asarray(value, dtype=np.float32)
    return Point(id=str(record.id), dense=dense, sparse=sparse, payload=dict(record.payload or {}))


def _filter(where: Where | None) -> models.Filter | None:
    from qdrant_client.http import models

    if where is None:
        return None
    must: list[Any] = [_any(name, values) for name, values in where.spelled(where.any_of)]
    must_not: list[Any] = [_any(name, values) for name, values in where.spelled(where.none_of)]
    return models.Filter(must=must or None, must_not=must_not or None)


def _any(name: str, values: Sequence[str | int]) -> models.FieldCondition:
    from qdrant_client.http import models

    return models.FieldCondition(key=name, match=models.MatchAny(any=list(values)))  # type: ignore[arg-type]
