"""The protocol of the memory that agents use, which `move37.memory.recall.Memory` implements; tests have another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from move37.memory.records import (
    MEMORY_KINDS,
    DeadEnd,
    Entry,
    Lesson,
    Newness,
    Recollection,
    RecordedPrinciple,
    Situation,
)


class ResearchMemory(Protocol):
    """What the agents ask of memory (memory.recall.Memory)."""

    async def recall(
        self,
        query: str | Situation,
        *,
        k: int = 6,
        budget_tokens: int = 2400,
        task: str | None = None,
        kinds: Sequence[str] = MEMORY_KINDS,
        shown: Mapping[str, int] | None = None,
    ) -> tuple[Recollection, ...]:
        """What papers teach, what we learned and what we believe about `query`, in whole items."""
        ...

    async def is_new(self, text: str, *, task: str | None = None) -> Newness:
        """The nearest published insight and own experiment."""
        ...

    async def is_dead_end(
        self,
        text: str,
        *,
        family: str | None = None,
        task: str | None = None,
        gained: Sequence[str] = (),
        lost: Sequence[str] = (),
    ) -> DeadEnd:
        """What was tried like it and how it fared against its parents."""
        ...

    async def paper(self, key: str) -> tuple[Entry, ...]:
        """Every insight of one paper."""
        ...

    async def forget_principle(self, id: str, *, task: str = "", data: str = "") -> None:
        """Strike a principle of a task and its data; an unknown one is ignored."""
        ...

    async def remember_principle(self, principle: RecordedPrinciple) -> None:
        """Write a principle, or rewrite it."""
        ...

    async def remember(self, lesson: Lesson) -> None:
        """Store a lesson; never loses it."""
        ...
