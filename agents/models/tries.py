"""What one answer of a model has cost so far: further attempts, and the seconds that nobody worked on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from move37.agents.models.client import FACTS


@dataclass(slots=True)
class Tries:
    """The attempts behind one answer."""

    hiccups: int = 0
    outages: int = 0
    shrinks: int = 0
    serves_others: bool = False  # it answered something small after it had failed at this
    refused_since: float | None = None  # monotonic
    reply_cap: int | None = None  # tokens, for this call only
    told: bool = False
    waited: float = 0.0  # seconds, for its turn and for a server that was away
    asked_at: float = 0.0  # monotonic: when the last attempt had its turn


@contextmanager
def waiting(tries: Tries) -> Iterator[None]:
    """Count what passes inside as a wait, however it ends: no model works on the call meanwhile."""
    began = time.monotonic()
    try:
        yield
    finally:
        seconds = time.monotonic() - began
        tries.waited += seconds
        if (facts := FACTS.get()) is not None:
            facts.waited += seconds
