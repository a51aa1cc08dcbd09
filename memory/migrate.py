"""Migrations: from one schema to the next, and from one store to another.

`upgrade` rewrites the payloads of an older schema one by one (each has its own number: a killed run goes on where it
stopped) and stamps the collection last. `copy` brings the collections to another store in pages ordered by id,
notes the last id after each page, and then compares: counts, a checksum over ids, payloads and words, and every dense
vector within a rounding error, because an engine may normalise again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from move37.memory.errors import MigrationFailed
from move37.memory.files import write_synced
from move37.memory.found import KINDS
from move37.memory.index import Index, Progress
from move37.memory.records_to_vectors import directed, points, texts
from move37.memory.schema import MIGRATIONS, SCHEMA, record_of
from move37.memory.store import Point, Store

log = structlog.get_logger()

PAGE = 256  # points between two notes of the place
ROUNDING = 1e-4  # in a component of a unit vector
Migrations = Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a copy did to one collection."""

    name: str
    points: int  # in the source and, verified, in the target
    written: int  # in this run
    checksum: str


def upgrade(index: Index, name: str, stored: int, *, migrations: Migrations = MIGRATIONS, schema: int = SCHEMA) -> int:
    """Bring a collection to the schema; gives how many points were rewritten.

    Raises:
        MigrationFailed: there is no step from some payload's number.
    """
    rewritten = 0
    for point in list(index.store.scan(name, vectors=True)):
        payload = dict(point.payload)
        if int(payload["schema"]) >= schema:
            continue
        before = record_of(name, payload)
        for number in range(int(payload["schema"]), schema):
            if number not in migrations:
                raise MigrationFailed(f"There is no step from schema {number} to {number + 1}; update Move 37.")
            payload = migrations[number](payload) | {"schema": number + 1}
        record = record_of(name, payload)
        made = point if texts(record) == texts(before) else points([record], index.embedder)[0]
        payload = directed(payload, made.dense)
        index.store.upsert(name, [Point(id=point.id, dense=made.dense, sparse=made.sparse, payload=payload)])
        rewritten += 1
    index.store.stamp(replace(index.shape(name), schema=schema))
    log.info("schema_upgraded", collection=name, before=stored, after=schema, points=rewritten)
    return rewritten


def copy(source: Index, target: Store, notes: Path, *, progress: Progress | None = None) -> tuple[Copied, ...]:
    """Copy the collections and verify them. `notes` is a file that remembers the place between runs; it is removed
    when everything agrees. Points that the target has besides are left alone and not counted.

    Raises:
        MigrationFailed: source and target differ after the copy.
        MemoryUnavailable: one of them went away; run it again to go on.
    """
    places: dict[str, str] = json.loads(notes.read_text()) if notes.exists() else {}
    out = []
    for name in KINDS:
        target.open(source.shape(name))
        total = source.store.count(name)
        written = 0
        for page in _pages(source.store.scan(name, vectors=True, after=places.get(name))):
            target.upsert(name, page)
            written += len(page)
            places[name] = page[-1].id
            write_synced(notes, json.dumps(places))
            if progress is not None:
                progress(written, total)
        out.append(Copied(name=name, points=total, written=written, checksum=verify(source.store, target, name)))
        target.flush(name)
    notes.unlink(missing_ok=True)
    return tuple(out)


def verify(source: Store, target: Store, name: str) -> str:
    """Every point of the source stands in the target unchanged; gives the checksum that both agree on.

    Raises:
        MigrationFailed: it names the first point that is missing or differs.
    """
    total = hashlib.sha256()
    for page in _pages(source.scan(name, vectors=True)):
        there = target.fetch(name, [point.id for point in page], vectors=True)
        for point in page:
            other = there.get(point.id)
            if other is None:
                raise MigrationFailed(f"{name}: {point.id} is missing in the copy; run the migration again.")
            if checksum(point) != checksum(other) or not _same_vectors(point, other):
                raise MigrationFailed(f"{name}: {point.id} differs in the copy; forget it there and run again.")
            total.update(checksum(point).encode())
    return total.hexdigest()


def checksum(point: Point) -> str:
    """Of a point's id, payload and words."""
    words = {
        name: [list(vector.indices), [float(f"{value:.5g}") for value in vector.values]]
        for name, vector in sorted(point.sparse.items())
    }
    plain = json.dumps([point.id, point.payload, words], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def _same_vectors(one: Point, other: Point) -> bool:
    import numpy as np

    if one.dense.keys() != other.dense.keys():
        return False
    return all(
        rows.shape == other.dense[name].shape and bool(np.all(np.abs(rows - other.dense[name]) < ROUNDING))
        for name, rows in one.dense.items()
    )


def _pages(points: Iterator[Point]) -> Iterator[list[Point]]:
    page: list[Point] = []
    for point in points:
        page.append(point)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
