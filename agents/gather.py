"""Awaits several coroutines at once; the first failure cancels the rest and is raised itself, not in a group."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def gather(*work: Coroutine[Any, Any, T]) -> list[T]:
    """Results in order. Raises the first exception that is no cancellation."""
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(w) for w in work]
    except BaseExceptionGroup as many:
        raise _first(many) from many
    return [task.result() for task in tasks]


def _first(many: BaseExceptionGroup[BaseException]) -> BaseException:
    error = many.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
