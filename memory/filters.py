"""What of each collection may answer a question: filters from a question's terms (pure).

A task's lessons are its own; a paper helps the task that it is about, or any when it names none. Papers about how to
search and how to do science say nothing about a layer, so they answer only where their area is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from move37.memory.records import MEMORY_KINDS
from move37.memory.schema import ANALYSES, COGNITION, PRINCIPLES
from move37.memory.store import Where

METHOD_AREAS = ("search", "science", "scaling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a question may be answered with; empty is no restriction."""

    task: str | None = None  # None: of every task, as a person's search is
    kinds: tuple[str, ...] = MEMORY_KINDS
    families: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()  # of papers; empty: all but METHOD_AREAS where a task asks
    status: tuple[str, ...] = ()  # of experiments
    min_rung: int | None = None
    years: tuple[int | None, int | None] | None = None  # of papers, (first, last)


def filters(terms: Terms) -> dict[str, Where | None]:
    """A filter for each collection that is to be searched."""
    out: dict[str, Where | None] = {}
    families: dict[str, tuple[str, ...]] = {"families": terms.families} if terms.families else {}
    if "cognition" in terms.kinds:
        areas = {"area": terms.areas} if terms.areas else {}
        out[COGNITION] = Where(
            any_of={**families, **areas, **_task(terms.task, papers=True)},
            none_of={"area": METHOD_AREAS} if terms.task is not None and not terms.areas else {},
            between={"year": terms.years} if terms.years else {},
        )
    if "analysis" in terms.kinds:
        status = {"status": terms.status} if terms.status else {}
        own = {"task": (terms.task,)} if terms.task is not None else {}
        out[ANALYSES] = Where(
            any_of={**families, **status, **own},
            between={"rung": (terms.min_rung, None)} if terms.min_rung is not None else {},
        )
    if "principle" in terms.kinds:
        out[PRINCIPLES] = Where(any_of=_task(terms.task, papers=False))
    return out


def _task(task: str | None, *, papers: bool) -> dict[str, tuple[str, ...]]:
    """A paper about "program" helps "program:packing"; what names no task helps any."""
    if task is None:
        return {}
    return {"task": tuple(dict.fromkeys((task, *((task.partition(":")[0],) if papers else ()), "")))}
