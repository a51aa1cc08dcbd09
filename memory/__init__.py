"""What papers teach, what we learned and what we believe, embedded and searchable.

`open_memory(home)` gives a `Memory`: `recall`, `is_new`, `is_dead_end`, `remember`, `remember_principle`, `principles`,
`load_builtin`, `close`. The built-in papers are text files under `memory/cognition/`; the engine is Qdrant's own in
this process, or a server. Read records.py, store.py, rank.py, index.py, recall.py in this order. Imports here are
lazy: naming a record or an error loads neither an engine nor a model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from move37.memory.autogen import QdrantMemory, QdrantMemoryConfig
    from move37.memory.errors import MemoryFault, MemoryUnavailable
    from move37.memory.recall import Memory, open_memory
    from move37.memory.records import (
        DeadEnd,
        Entry,
        Evidence,
        Lesson,
        MeasuredEffect,
        MeasuredEffects,
        Newness,
        Posterior,
        Precedent,
        ProbeResult,
        Recollection,
        RecordedPrinciple,
        Situation,
    )

__all__ = [
    "DeadEnd",
    "Entry",
    "Evidence",
    "Lesson",
    "MeasuredEffect",
    "MeasuredEffects",
    "Memory",
    "MemoryFault",
    "MemoryUnavailable",
    "Newness",
    "Posterior",
    "Precedent",
    "ProbeResult",
    "QdrantMemory",
    "QdrantMemoryConfig",
    "Recollection",
    "RecordedPrinciple",
    "Situation",
    "open_memory",
]

_HOMES = dict.fromkeys(__all__, "records") | {
    "Memory": "recall",
    "MemoryFault": "errors",
    "MemoryUnavailable": "errors",
    "QdrantMemory": "autogen",
    "QdrantMemoryConfig": "autogen",
    "open_memory": "recall",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"move37.memory.{_HOMES[name]}"), name)
