"""The border to a vector engine: what `edge`, `server` and `local` all offer, in our own words.

A collection holds points; a point has named dense vectors (several rows each, one a passage), named sparse vectors and
a payload. A query asks for the nearest points by one named vector. Fusion, weighting and texts are not here: the engine
gives lists, `rank.py` decides. So a filter belongs to every list by construction, and no engine's idea of a filter on
a fused query (qdrant-client #1372) can leak an item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from move37.memory.embedder_protocol import whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]  # [passages, dimension], unit length


EF = 64  # nodes a walk keeps in sight (as many as it is asked for, where that is more): half the default's time
LINKS = 32  # of a node of the graph, and
EF_BUILD = 200  # nodes in sight while it is built: twice the defaults, for points of several rows (figures/memory.md)


class FieldIndex(Enum):
    """How a payload field is indexed for filters."""

    KEYWORD = "keyword"
    INTEGER = "integer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection's shape. It is stored beside the data and compared when the collection is opened."""

    name: str
    schema: int  # version of the payload's layout
    model: str  # name of the embedding model
    dimension: int  # of every dense vector
    digest: str = ""  # of the embedding model's weights; "" is not compared
    dense: tuple[str, ...] = ()
    sparse: tuple[str, ...] = ()  # the engine weighs their terms by IDF
    indexes: Mapping[str, FieldIndex] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sparse:
    """A sparse vector: term ids (ascending) and their weights."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One item as the engine keeps it."""

    id: str  # a UUID
    dense: Mapping[str, Rows] = field(default_factory=dict)
    sparse: Mapping[str, Sparse] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """One question to the engine: the nearest points by one named vector.

    Several dense rows mean the sum over the rows of the best passage (late interaction).
    """

    using: str
    vector: Rows | Sparse
    exact: bool = False  # compare with every point instead of walking the graph


class Hit(NamedTuple):
    """An answer: cosine (summed over the query's rows) or BM25, higher is nearer. A search makes some 600 of them, and
    a tuple costs less than a frozen dataclass."""

    id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A filter: all conditions hold. `any_of` of a list field means that one of its items is among the values."""

    any_of: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)
    none_of: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)

    @staticmethod
    def spelled(conditions: Mapping[str, tuple[str | int, ...]]) -> list[tuple[str, list[str | int]]]:
        """The conditions as they are stored: half a character is kept by no engine."""
        return [(name, [whole(v) if isinstance(v, str) else v for v in values]) for name, values in conditions.items()]


class Store(Protocol):
    """Every backend. All calls may raise the errors of `errors.py` and no others."""

    def open(self, collection: Collection) -> int:
        """Create the collection, or check that the stored one has the same model and dimension; gives its schema.

        Raises:
            OtherModel, WrongDimension, OtherSchema: it was made for something else.
            HomeLocked, ServerUnreachable, ServerRefused: it cannot be used now.
        """
        ...

    def stamp(self, collection: Collection) -> None:
        """Write down the shape again, with the payload indexes that are missing, after an upgrade of the payloads."""
        ...

    def upsert(self, name: str, points: Sequence[Point]) -> None:
        """Write points. Returning means acknowledged: the points survive `kill -9` of this process."""
        ...

    def nearest(
        self, name: str, queries: Sequence[Nearest], *, limit: int, where: Where | None = None
    ) -> list[list[Hit]]:
        """One list for each query, best first."""
        ...

    def fetch(
        self, name: str, ids: Sequence[str], *, vectors: bool = False, fields: Sequence[str] | None = None
    ) -> dict[str, Point]:
        """Those of the points that exist, by id; `fields` are what is read of each payload, None all of it."""
        ...

    def scan(
        self, name: str, *, where: Where | None = None, vectors: bool = False, after: str | None = None
    ) -> Iterator[Point]:
        """All points in the order of their ids; `after` leaves out everything up to that id."""
        ...

    def count(self, name: str, where: Where | None = None) -> int:
        """How many points."""
        ...

    def is_empty(self, name: str) -> bool:
        """Is nothing there? Cheaper than a count."""
        ...

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """Forget points; unknown ids are ignored."""
        ...

    def drop(self, name: str) -> None:
        """Remove the collection."""
        ...

    def flush(self, name: str) -> None:
        """Make what was written survive a power cut."""
        ...

    def optimize(self, name: str) -> None:
        """Build the graph over what was written since. It may take long (20 s for 4,000 experiments put at once), so
        it is called only when a store is closed or many files were imported."""
        ...

    def close(self) -> None:
        """Release files and connections; a second call does nothing."""
        ...
