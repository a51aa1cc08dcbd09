"""What the memory holds, in numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from move37.memory.files import sizes
from move37.memory.found import key_of
from move37.memory.recall import Memory
from move37.memory.records import Entry, Lesson
from move37.memory.schema import ANALYSES, COGNITION, PRINCIPLES


def count(memory: Memory) -> dict[str, Any]:
    """Counts by collection; lessons that wait on disk are counted before they are brought in."""
    waiting = len(memory.outbox)
    index = memory.index()
    on_disk, in_name = sizes(memory.folder)
    entries = [found.item for found in index.all(COGNITION) if isinstance(found.item, Entry)]
    lessons = [found.item for found in index.all(ANALYSES) if isinstance(found.item, Lesson)]
    return {
        "model": index.embedder.name,
        "schema": min(index.schemas.values()),
        "cognition": {
            "insights": len(entries),
            "papers": len({(entry.origin, key_of(entry)) for entry in entries}),
            "builtin": sum(entry.origin == "builtin" for entry in entries),
            "symptoms": sum(len(entry.symptoms) for entry in entries),
        },
        "analyses": {
            "experiments": len(lessons),
            "status": dict(Counter(lesson.status for lesson in lessons)),
            "family": dict(Counter(lesson.family for lesson in lessons)),
        },
        "principles": index.store.count(PRINCIPLES),
        "disk_bytes": on_disk,
        "apparent_bytes": in_name,  # sparse files: what a copy takes that does not keep holes
        "queued": waiting,
        "imports": len(memory.parcels),
        "set_aside": memory.parcels.set_aside(),  # parts of imports that were damaged or refused
    }
