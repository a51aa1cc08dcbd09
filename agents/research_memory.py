"""What the agents ask of memory: the shape of `move37.memory.recall.Memory`, so that a test can stand in for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from move37.memory.records import DeadEnd, Lesson, Newness, Recollection


class ResearchMemory(Protocol):
    """What the agents ask of memory (memory.recall.Memory)."""

    async def recall(
        self, query: str, *, k: int = 6, budget_tokens: int = 900, kinds: Sequence[str] = ("cognition", "analysis")
    ) -> tuple[Recollection, ...]:
        """What papers teach and what we learned about `query`."""
        ...

    async def is_new(self, text: str) -> Newness:
        """The nearest published insight and own experiment."""
        ...

    async def is_dead_end(self, text: str, *, family: str = "") -> DeadEnd:
        """What was tried like it and failed."""
        ...

    async def remember(self, lesson: Lesson) -> None:
        """Store a lesson; never loses it."""
        ...
