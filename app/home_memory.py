"""The memory that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.memory.recall import Memory, open_memory

if TYPE_CHECKING:
    from move37.app.settings import Settings


def memory_of(settings: Settings, *, read_only: bool = False) -> Memory:
    """Opens nothing yet. With `read_only` it reads a copy, and so beside a campaign, too."""
    return open_memory(
        settings.home,
        url=settings.memory.url,
        api_key=settings.memory.api_key,
        embedding_model=settings.memory.embedding_model,
        read_only=read_only,
    )
