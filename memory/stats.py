"""What the memory holds, in numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from move37.memory.recall import Memory
from move37.memory.records import Entry, Lesson
from move37.memory.schema import ANALYSES, COGNITION


def count(memory: Memory) -> dict[str, Any]:
    """Counts by collection; lessons that wait on disk are counted before they are brought in."""
    waiting = len(memory.queue)
    library = memory.library()
    entries = [found.item for found in library.all(COGNITION) if isinstance(found.item, Entry)]
    lessons = [found.item for found in library.all(ANALYSES) if isinstance(found.item, Lesson)]
    return {
        "model": library.embedder.name,
        "schema": min(library.schemas.values()),
        "cognition": {
            "insights": len(entries),
            "papers": len({(entry.origin, entry.key) for entry in entries}),
            "builtin": sum(entry.origin == "builtin" for entry in entries),
            "symptoms": sum(len(entry.symptoms) for entry in entries),
        },
        "analyses": {
            "experiments": len(lessons),
            "status": dict(Counter(lesson.status for lesson in lessons)),
            "family": dict(Counter(lesson.family for lesson in lessons)),
        },
        "queued": waiting,
    }
