"""Between our words and those of Qdrant's engine: shapes, points, filters, and its errors (pure)."""

from __future__ import annotations

import uuid
from functools import lru_cache
from pathlib import Path
from typing import Any

from move37.memory.errors import (
    HomeLocked,
    MemoryFault,
    MemoryUnavailable,
    NoRoom,
    OtherSchema,
    StoreBroken,
    WrongDimension,
)
from move37.memory.store import EF_BUILD, LINKS, Collection, Point, Sparse, Where

MANIFEST = "move37.json"
FULL_SCAN_KIB = 10_000  # of vectors, up to which there is no graph: the engine's default


def config(engine: Any, collection: Collection) -> Any:
    dense = engine.EdgeVectorParams(
        size=collection.dimension,
        distance=engine.Distance.Cosine,
        multivector_config=engine.MultiVectorConfig(engine.MultiVectorComparator.MaxSim),
        hnsw_config=engine.HnswIndexConfig(LINKS, EF_BUILD, FULL_SCAN_KIB),
    )
    return engine.EdgeConfig(
        vectors=dict.fromkeys(collection.dense, dense),
        sparse_vectors={
            name: engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf) for name in collection.sparse
        },
    )


def row(engine: Any, point: Point) -> Any:
    vectors = {key: rows.tolist() for key, rows in point.dense.items() if len(rows)}
    vectors |= {key: vector(engine, terms) for key, terms in point.sparse.items() if terms.indices}
    return engine.Point(point.id, vectors, dict(point.payload))


def vector(engine: Any, value: Any) -> Any:
    if isinstance(value, Sparse):
        return engine.SparseVector(list(value.indices), list(value.values))
    return value.tolist()


@lru_cache(maxsize=1 << 16)
def spelled(number: int) -> str:
    """An id as we write it. The engine gives objects; to write the 400 of a search took a twentieth of its time."""
    return str(uuid.UUID(int=number))


def point_of(engine: Any, record: Any) -> Point:
    import numpy as np

    dense, sparse = {}, {}
    for key, value in (record.vector or {}).items():
        if isinstance(value, engine.SparseVector):
            sparse[key] = Sparse(tuple(value.indices), tuple(value.values))
        else:
            dense[key] = np.asarray(value, dtype=np.float32)
    return Point(id=spelled(record.id.int), dense=dense, sparse=sparse, payload=dict(record.payload or {}))


def condition(engine: Any, where: Where | None) -> Any:
    if where is None:
        return None
    must = [engine.FieldCondition(k, match=engine.MatchAny(v)) for k, v in where.spelled(where.any_of)]
    must_not = [engine.FieldCondition(k, match=engine.MatchAny(v)) for k, v in where.spelled(where.none_of)]
    return engine.Filter(must=must, must_not=must_not)


def translate(error: BaseException, path: Path) -> MemoryFault:
    """The engine's text, or a file system's error, as one of ours."""
    text = " ".join(str(error).split())[:300]
    if "WouldBlock" in text:
        return HomeLocked(
            f"Another process is using the memory in {path}; wait until it ends, give another --home, or use a server."
        )
    if "dimension error" in text:
        return WrongDimension(f"A vector does not fit the collection: {text}.")
    if "No space left" in text:
        return NoRoom("The disk is full; the memory cannot be written: free some space.")
    if isinstance(error, OSError) or "Permission denied" in text or "Read-only file system" in text:
        return MemoryUnavailable(f"The memory in {path} cannot be written ({text}); check the folder.")
    if "does not exist" in text or "cannot load edge shard" in text:
        return OtherSchema(f"The memory in {path} cannot be loaded ({text}); move it away and import it again.")
    return StoreBroken(
        f"The memory's engine failed ({text}); if it does so again, move {path} away and import the papers again."
    )
