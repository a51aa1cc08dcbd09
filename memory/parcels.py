"""Points that wait on disk until a process that may write takes them in.

An import reads and embeds while nobody's store is held, beside a campaign and without one, and leaves its points here:
a file for some hundred of them, with their vectors, beside the lessons that wait (`outbox.py`). Whoever opens the store
to write takes them in, oldest first; a campaign few at a time, so that no recall waits for a library.
"""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import structlog

from move37.memory.errors import MemoryFault, MemoryUnavailable, OtherModel
from move37.memory.files import write_synced
from move37.memory.index import Index
from move37.memory.store import Point, Sparse

log = structlog.get_logger()
UNREADABLE = (  # what zipfile, NumPy and JSON raise for bytes of every kind; RuntimeError: "encrypted"
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, OSError, RuntimeError, MemoryError,
    zlib.error, zipfile.BadZipFile,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Points of one collection, and ids that it shall forget."""

    collection: str
    model: str  # that embedded them
    points: Sequence[Point]
    digest: str = ""  # of its weights; "" is not compared
    forgotten: Sequence[str] = ()


class Parcels:
    """The files of a folder, in the order in which they were put."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, parcel: Parcel) -> Path:
        """On the disk when it returns.

        Raises:
            OSError: the disk is full or read-only.
        """
        path = self._folder / f"{time.time_ns():020}-{uuid.uuid4().hex[:8]}.npz"
        write_synced(path, packed(parcel))
        return path

    def waiting(self) -> Iterator[tuple[Path, Parcel | None]]:
        """Oldest first; None is one that is damaged.

        Raises:
            MemoryUnavailable: a file cannot be read.
        """
        for path in self._paths():
            try:
                raw = path.read_bytes()
            except FileNotFoundError:  # another process took it in
                continue
            except IsADirectoryError:
                raw = b""
            except OSError as error:
                raise MemoryUnavailable(f"{path} cannot be read ({error}); check the folder.") from error
            try:
                parcel = unpacked(raw)
            except UNREADABLE as error:
                log.warning("parcel_unreadable", path=str(path), error=str(error))
                yield path, None
                continue
            yield path, parcel

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.npz")) if self._folder.is_dir() else []

    def __len__(self) -> int:
        return len(self._paths())

    def set_aside(self) -> int:
        """How many were damaged or refused, and wait for a person."""
        return len(list(self._folder.glob("*.npz.*"))) if self._folder.is_dir() else 0


def take_in(parcels: Parcels, index: Index, *, most: int | None = None) -> int:
    """At most `most` parcels into the store; gives how many were seen. A file is removed when its points are on the
    disk there; one that is damaged, or that the store refuses, gets another name, so that it is neither lost nor met
    again.

    Raises:
        MemoryUnavailable: the store went away, or a file cannot be read or renamed.
    """
    seen = 0
    for path, parcel in islice(parcels.waiting(), most):
        seen += 1
        if parcel is None:
            _set_aside(path, "damaged")
        elif not accepted(path, parcel, index):
            _set_aside(path, "refused")
        else:
            index.store.flush(parcel.collection)
            path.unlink(missing_ok=True)
    return seen


def _set_aside(path: Path, why: str) -> None:
    try:
        path.rename(path.with_name(f"{path.name}.{why}"))
    except OSError as error:  # it would be met again at each call
        raise MemoryUnavailable(f"{path} cannot be set aside ({error}); check the folder.") from error


def accepted(path: Path, parcel: Parcel, index: Index) -> bool:
    """The parcel's points in the store, not yet on the disk: all that a reader's copy needs. False where the store
    refuses them. Raises `MemoryUnavailable`."""
    embedder = index.embedder
    try:
        if parcel.model != embedder.name:
            raise OtherModel(f"it was embedded with {parcel.model}, this is {embedder.name}; import it again")
        if parcel.digest and embedder.digest and parcel.digest != embedder.digest:
            raise OtherModel(f"it was embedded with other weights of {parcel.model}; import it again")
        index.store.delete(parcel.collection, parcel.forgotten)
        index.store.upsert(parcel.collection, parcel.points)
    except MemoryUnavailable:
        raise
    except MemoryFault as error:
        log.warning("parcel_refused", path=str(path), error=str(error))
        return False
    return True


def packed(parcel: Parcel) -> bytes:
    """All vectors' rows in one array, and the rest as JSON."""
    import numpy as np

    rows: list[Any] = []
    said = []
    for point in parcel.points:
        rows += point.dense.values()
        dense = {name: len(matrix) for name, matrix in point.dense.items()}
        sparse = {name: [list(terms.indices), list(terms.values)] for name, terms in point.sparse.items()}
        said.append({"id": point.id, "payload": dict(point.payload), "dense": dense, "sparse": sparse})
    facts = {"collection": parcel.collection, "model": parcel.model, "digest": parcel.digest}
    text = json.dumps(facts | {"forgotten": list(parcel.forgotten), "points": said}).encode()
    matrix = np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.float32)
    file = io.BytesIO()
    np.savez(file, rows=matrix.astype(np.float32), said=np.frombuffer(text, dtype=np.uint8))
    return file.getvalue()


def unpacked(raw: bytes) -> Parcel:
    """A parcel back. Raises one of `UNREADABLE`: it is none."""
    import numpy as np

    with np.load(io.BytesIO(raw), allow_pickle=False) as file:
        rows, facts = file["rows"], json.loads(file["said"].tobytes())
    points = []
    at = 0
    for one in facts["points"]:
        dense = {}
        for name, count in one["dense"].items():
            dense[name] = rows[at : at + count]
            at += count
        sparse = {name: Sparse(tuple(terms[0]), tuple(terms[1])) for name, terms in one["sparse"].items()}
        points.append(Point(id=one["id"], payload=one["payload"], dense=dense, sparse=sparse))
    if at != len(rows):
        raise ValueError("its vectors do not fit its points")
    return Parcel(
        collection=facts["collection"],
        model=facts["model"],
        digest=facts.get("digest", ""),
        points=tuple(points),
        forgotten=tuple(facts["forgotten"]),
    )
