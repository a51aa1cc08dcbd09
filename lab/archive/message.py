"""A message of a conversation: one record for keyboard, archive, prompt and page."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

UNHEARD = "unheard"  # stage of a user's line that no speaker has got yet
ANYBODY = "all"  # the addressee where none is named
TOOLS = "tools"  # whom an agent addresses with a tool call
PROPOSED = "proposed"  # stage of a user's hypothesis that no experiment has taken yet


def now() -> str:
    """The time, as the archive writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something that was said."""

    text: str
    source: str  # a role, "Lab", "person" or a user's name
    to: str = ANYBODY  # the next speaker where it is known; `TOOLS` for a tool call
    user: bool = False  # a user typed it
    experiment: str | None = None  # None: said before the first experiment
    stage: str = ""
    at: str = field(default_factory=now)  # ISO 8601, UTC
    id: str = field(default_factory=lambda: uuid4().hex)
