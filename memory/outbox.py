"""Lessons that wait on disk until the store takes them: an unreachable memory loses no finished experiment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import structlog

from move37.memory.embedder_protocol import Embedder, whole
from move37.memory.errors import MemoryFault, MemoryUnavailable
from move37.memory.files import write_synced
from move37.memory.index import Index
from move37.memory.parcels import UNREADABLE, Parcel, packed, unpacked
from move37.memory.records import Lesson
from move37.memory.records_to_vectors import content_hash, lesson_points
from move37.memory.schema import ANALYSES, lesson_of
from move37.memory.store import Point

log = structlog.get_logger()


class Outbox:
    """One file a lesson, named after its experiment: the same lesson waits once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, lesson: Lesson) -> Path:
        """On the disk (fsync, then rename) when it returns.

        Raises:
            OSError: the disk is full or read-only.
        """
        path = self._folder / f"{hashlib.sha256(whole(lesson.experiment).encode()).hexdigest()[:20]}.json"
        write_synced(path, json.dumps(asdict(lesson)))  # ASCII: halves of characters pass
        return path

    def waiting(self) -> Iterator[tuple[Path, Lesson]]:
        """Oldest first. A file that cannot be read is left where it is and logged."""
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob("*.json"), key=_written):
            try:
                yield path, lesson_of(json.loads(path.read_text(encoding="utf-8")))
            except FileNotFoundError:  # the holder of the memory took it in meanwhile
                continue
            except (ValueError, TypeError, AttributeError, OSError) as error:
                log.warning("queued_lesson_unreadable", path=str(path), error=str(error))

    def __len__(self) -> int:
        return len(list(self._folder.glob("*.json"))) if self._folder.is_dir() else 0


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def drain(outbox: Outbox, index: Index) -> None:
    """Waiting lessons into the store. A file is removed when its lesson is on the disk there, and still is what it
    holds: another process may have put a newer one meanwhile. A lesson that the store refuses stays and stops neither
    the others nor the search."""
    done = []
    for path, lesson in outbox.waiting():
        try:
            index.put_lessons([lesson])
        except MemoryUnavailable:
            raise
        except MemoryFault as error:
            log.warning("lesson_refused", experiment=lesson.experiment, error=str(error))
            continue
        done.append((path, lesson))
        log.info("lesson_remembered", experiment=lesson.experiment)
    if done:
        index.store.flush(ANALYSES)
    for path, lesson in done:
        if _holds(path, lesson):
            _beside(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def _holds(path: Path, lesson: Lesson) -> bool:
    """Compared as they are written: a number that is none is unlike itself."""
    try:
        return json.dumps(asdict(lesson_of(json.loads(path.read_text(encoding="utf-8"))))) == json.dumps(asdict(lesson))
    except (ValueError, TypeError, AttributeError, OSError):
        return False


def points(waiting: Sequence[tuple[Path, Lesson]], embedder: Embedder) -> list[Point]:
    """The points of waiting lessons, for a reader. The first one who embeds a lesson leaves its vectors beside it, so
    that no later reader does it again."""
    known = {path: _kept(path, lesson, embedder) for path, lesson in waiting}
    fresh = [(path, lesson) for path, lesson in waiting if known[path] is None]
    made = lesson_points([lesson for _, lesson in fresh], embedder)
    for (path, _), point in zip(fresh, made, strict=True):
        known[path] = point
        parcel = Parcel(collection=ANALYSES, model=embedder.name, digest=embedder.digest, points=[point])
        with suppress(OSError):  # a full or read-only disk: the next reader embeds it again
            _beside(path).write_bytes(packed(parcel))
    return [point for point in known.values() if point is not None]


def _kept(path: Path, lesson: Lesson, embedder: Embedder) -> Point | None:
    """What an earlier reader left, if it is of this text and this model."""
    try:
        parcel = unpacked(_beside(path).read_bytes())
        (point,) = parcel.points
        same = point.payload["digest"] == content_hash(lesson)
    except UNREADABLE:
        return None
    return point if same and (parcel.model, parcel.digest) == (embedder.name, embedder.digest) else None


def _beside(path: Path) -> Path:
    return path.with_suffix(".vectors")
