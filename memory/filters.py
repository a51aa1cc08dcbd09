"""What of each collection may answer a task's question (pure).

A task's lessons are its own; a paper helps the task that it is about, or any when it names none. Papers about how to
search and how to do science say nothing about a layer, so they answer no task.
"""

from __future__ import annotations

from collections.abc import Sequence

from move37.memory.records import MEMORY_KINDS
from move37.memory.schema import ANALYSES, COGNITION, PRINCIPLES
from move37.memory.store import Where

METHOD_AREAS = ("search", "science", "scaling")


def filters(task: str | None, kinds: Sequence[str] = MEMORY_KINDS) -> dict[str, Where | None]:
    """A filter for each collection that is to be searched; without a task for everything in it, as a user searches."""
    out: dict[str, Where | None] = {}
    if "cognition" in kinds:
        areas = {"area": METHOD_AREAS} if task is not None else {}
        out[COGNITION] = Where(any_of=_task(task, papers=True), none_of=areas)
    if "analysis" in kinds:
        out[ANALYSES] = Where(any_of={"task": (task,)} if task is not None else {})
    if "principle" in kinds:
        out[PRINCIPLES] = Where(any_of=_task(task, papers=False))
    return out


def _task(task: str | None, *, papers: bool) -> dict[str, tuple[str, ...]]:
    """A paper about "program" helps "program:packing"; what names no task helps any."""
    if task is None:
        return {}
    return {"task": tuple(dict.fromkeys((task, *((task.partition(":")[0],) if papers else ()), "")))}
