"""Which engine holds a home's memory, and how it is opened: to write, or to read while another process writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from move37.memory.edge import EdgeStore
from move37.memory.embedder_protocol import Embedder
from move37.memory.errors import MemoryUnavailable
from move37.memory.index import Index
from move37.memory.migrate import upgrade
from move37.memory.outbox import Outbox, points
from move37.memory.parcels import Parcel, Parcels, accepted
from move37.memory.schema import ANALYSES, SCHEMA
from move37.memory.snapshot import Snapshot
from move37.memory.store import Point, Store

log = structlog.get_logger()


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
        return EdgeStore(folder / "edge")
    from move37.memory.local import open_local

    log.warning("memory_falls_back", backend="local", reason="qdrant-edge-py is not installed")
    return open_local(folder / "local")


def open_index(
    folder: Path,
    *,
    url: str | None,
    api_key: str | None,
    embedder: Embedder,
    outbox: Outbox | None = None,
) -> tuple[Index, bool]:
    """(the index, is it of a copy?). With an `outbox` it is for reading: the embedded store is copied, so that no
    reader ever keeps a writer from it, and the lessons and imports that wait are put into the copy alone.

    Raises:
        MemoryUnavailable, Mismatch: see `errors.py`.
    """
    no_copy: MemoryUnavailable | None = None
    if outbox is not None and not url and (folder / "edge").is_dir():
        try:
            # Before the copy: what leaves the queue meanwhile is in it.
            lessons = points(list(outbox.waiting()), embedder)
            imports = list(Parcels(folder / "queue").waiting())
            return _copied(folder / "edge", embedder, lessons, imports), True
        except MemoryUnavailable as error:  # no room for a copy, for example
            no_copy = error
    try:
        return _opened(open_store(folder, url=url, api_key=api_key), embedder), False
    except MemoryUnavailable as error:
        if no_copy is None:
            raise
        raise no_copy from error


def _copied(
    edge: Path, embedder: Embedder, lessons: Sequence[Point], imports: Sequence[tuple[Path, Parcel | None]]
) -> Index:
    index = _opened(Snapshot(edge), embedder)
    try:
        index.store.upsert(ANALYSES, lessons)
        for path, parcel in imports:
            if parcel is not None:
                accepted(path, parcel, index)  # what it refuses, whoever writes next sets aside
    except BaseException:
        index.store.close()  # and with it the copy
        raise
    return index


def _opened(store: Store, embedder: Embedder) -> Index:
    """An index of this version's layout."""
    try:
        index = Index(store, embedder)
        for name, schema in tuple(index.schemas.items()):
            if schema < SCHEMA:
                upgrade(index, name, schema)
                index.schemas[name] = SCHEMA
        return index
    except BaseException:
        store.close()
        raise
