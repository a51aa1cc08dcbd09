"""The built-in base into a home's memory."""

from __future__ import annotations

import structlog

from move37.memory.index import Index, Progress
from move37.memory.papers import builtin_entries
from move37.memory.prebuilt import Prebuilt
from move37.memory.schema import COGNITION
from move37.memory.store import Where

log = structlog.get_logger()


def load(index: Index, progress: Progress | None = None) -> int:
    """The built-in base into the index, what left it out of it; gives how many insights were new or changed."""
    entries = builtin_entries()
    written = index.put_entries(entries, progress=progress, embedder=Prebuilt(index.embedder))
    keys = {entry.key for entry in entries}
    gone = [found.id for found in index.all(COGNITION, Where(any_of={"origin": ("builtin",)})) if found.key not in keys]
    index.store.delete(COGNITION, gone)
    if written or gone:
        index.store.flush(COGNITION)
        log.info("builtin_loaded", insights=written, forgotten=len(gone))
    return written
