"""An import: what is new is embedded while nobody's store is held, and is then handed over.

So an import of any length stands beside a campaign: a home that another process holds takes the points in as it goes
(`parcels.py`), a free one at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from move37.memory.errors import HomeLocked, MemoryUnavailable
from move37.memory.index import BATCH, MANY, Index, Progress
from move37.memory.parcels import Parcel, take_in
from move37.memory.records_to_vectors import entry_points, lesson_points, principle_points
from move37.memory.schema import ANALYSES, COGNITION, PRINCIPLES
from move37.memory.store import Where

if TYPE_CHECKING:
    from move37.memory.embedder_protocol import Embedder
    from move37.memory.recall import Memory
    from move37.memory.records import Entry, Lesson, RecordedPrinciple
    from move37.memory.store import Point

    T = TypeVar("T", Entry, Lesson, RecordedPrinciple)

AT_ONCE = 8  # parcels between two looks at the progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did."""

    changed: int  # insights that were new or changed
    waiting: int  # parcels that the process which holds the memory will take in
    replaced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # key -> stored titles that its file lacks


def bring_in(
    reader: Memory,
    writer: Memory,
    *,
    entries: Sequence[Entry] = (),
    lessons: Sequence[Lesson] = (),
    principles: Sequence[RecordedPrinciple] = (),
    progress: Progress,
) -> Imported:
    """Both memories are of one home; `reader` was opened to read alone, and is closed here.

    Raises:
        MemoryUnavailable, Mismatch: see `Memory.index`; what was embedded before waits on the disk.
    """
    index = reader.index()
    changed, gone = index.news(entries)
    replaced = _replaced(index, entries) if changed or gone else {}
    embedder = index.embedder
    reader.close_now()
    done, total = 0, len(changed) + len(lessons) + len(principles)

    def parcel(name: str, points: Sequence[Point], forgotten: Sequence[str] = ()) -> Parcel:
        model = {"model": embedder.name, "digest": embedder.digest}
        return Parcel(collection=name, points=points, forgotten=forgotten, **model)

    def put(name: str, records: Sequence[T], points: Callable[[Sequence[T], Embedder], list[Point]]) -> None:
        nonlocal done
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            _put(writer, parcel(name, points(batch, embedder)))
            done += len(batch)
            progress(done, total)

    if gone:
        _put(writer, parcel(COGNITION, (), gone))
    put(COGNITION, changed, entry_points)
    put(ANALYSES, lessons, lesson_points)
    put(PRINCIPLES, principles, principle_points)
    return Imported(changed=len(changed), waiting=_hand_over(writer), replaced=replaced)


def _replaced(index: Index, entries: Iterable[Entry]) -> dict[str, tuple[str, ...]]:
    """Titles that are stored under a file's key and are not in the file: an older state of it, or another file of the
    same name, whose insights would go without a word."""
    fresh: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        fresh.setdefault((entry.origin, entry.key), set()).add(entry.title)
    keys = tuple(sorted({key for _, key in fresh}))
    out: dict[str, dict[str, None]] = {}
    for point in index.store.scan(COGNITION, where=Where(any_of={"key": keys}) if len(keys) <= MANY else None):
        file = (str(point.payload.get("origin")), str(point.payload.get("key")))
        title = str(point.payload.get("title"))
        if file in fresh and title not in fresh[file]:
            out.setdefault(file[1], {})[title] = None
    return {key: tuple(titles) for key, titles in out.items()}


def _put(writer: Memory, parcel: Parcel) -> None:
    try:
        writer.parcels.put(parcel)
    except OSError as error:
        raise MemoryUnavailable(
            f"What was read cannot be kept in {writer.folder} ({error}); free some space."
        ) from error


def _hand_over(writer: Memory) -> int:
    """All that waits into the store; how much stays, because another process holds it."""
    try:
        index = writer.index()
        while take_in(writer.parcels, index, most=AT_ONCE):
            pass
    except HomeLocked:
        pass
    return len(writer.parcels)
