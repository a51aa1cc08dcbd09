"""Lessons that wait on disk until the store takes them: an unreachable memory loses no finished experiment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import structlog

from move37.memory.errors import MemoryFault, MemoryUnavailable
from move37.memory.files import write_synced
from move37.memory.index import Index
from move37.memory.records import Lesson
from move37.memory.schema import ANALYSES, lesson_of

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
        path = self._folder / f"{hashlib.sha256(lesson.experiment.encode()).hexdigest()[:20]}.json"
        write_synced(path, json.dumps(asdict(lesson), ensure_ascii=False))
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
    """Waiting lessons into the store. A file is removed when its lesson is on the disk there; one that the store
    refuses stays and stops neither the others nor the search."""
    done = []
    for path, lesson in outbox.waiting():
        try:
            index.put_lessons([lesson])
        except MemoryUnavailable:
            raise
        except MemoryFault as error:
            log.warning("lesson_refused", experiment=lesson.experiment, error=str(error))
            continue
        done.append(path)
        log.info("lesson_remembered", experiment=lesson.experiment)
    if done:
        index.store.flush(ANALYSES)
    for path in done:
        path.unlink(missing_ok=True)
