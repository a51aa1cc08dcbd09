"""What the person says, on its way to the next speaker.

`say` and the commands may be called from any thread and never block; the campaign reads on its own loop.
Every change of mind is kept as a `Line`, so that the archive can store what was said with the experiment.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One line of a person."""

    text: str
    source: str
    at: str  # ISO 8601, UTC
    proposal: bool = False  # a hypothesis for the next experiment, not a line for the next speaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A person's answer to a request for approval, or a veto out of turn."""

    kind: Literal["approve", "veto"]
    reason: str = ""


class Inbox:
    """A thread-safe letter box with a pause switch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[Said] = deque()
        self._proposals: deque[Said] = deque()
        self._decisions: deque[Decision] = deque()
        self._unstored: deque[Said] = deque()
        self._paused = False
        self._stopped = False
        self._changed: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    # What the person does ------------------------------------------------------------------------------------

    def say(self, text: str, source: str = "person") -> None:
        """Put a line before the next speaker."""
        said = _said(text, source)
        with self._lock:
            self._lines.append(said)
            self._unstored.append(said)
        self._wake()

    def propose(self, text: str, source: str = "person") -> None:
        """Hand a hypothesis to the next experiment's Researcher."""
        said = replace(_said(text, source), proposal=True)
        with self._lock:
            self._proposals.append(said)
            self._unstored.append(said)
        self._wake()

    def approve(self) -> None:
        """Answer the oldest open request."""
        self._decide(Decision(kind="approve"))

    def veto(self, reason: str) -> None:
        """End the experiment that waits for approval, or else the newest running one."""
        self._decide(Decision(kind="veto", reason=reason or "no reason given"))

    def pause(self) -> None:
        """No new turn and no new job until `resume`; what runs goes on."""
        self._paused = True
        self._wake()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = False
        self._wake()

    def stop(self) -> None:
        """End the campaign; what is finished stays, the rest can be resumed."""
        self._stopped = True
        self._paused = False
        self._wake()

    # What the campaign reads ---------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether turns have to wait."""
        return self._paused

    @property
    def stopped(self) -> bool:
        """Whether the person ended the campaign."""
        return self._stopped

    def waiting(self) -> bool:
        """Whether a line waits for a speaker."""
        return bool(self._lines)

    def take_lines(self) -> tuple[Said, ...]:
        """Everything that was said and not yet heard."""
        with self._lock:
            lines = tuple(self._lines)
            self._lines.clear()
        return lines

    def take_unstored(self) -> tuple[Said, ...]:
        """Lines and proposals that the archive does not hold yet: stored before anybody has heard them."""
        with self._lock:
            lines = tuple(self._unstored)
            self._unstored.clear()
        return lines

    def put_back(self, said: Said) -> None:
        """A line or proposal that an earlier sitting stored and nobody heard."""
        with self._lock:
            (self._proposals if said.proposal else self._lines).append(said)

    def take_proposal(self) -> Said | None:
        """The oldest proposal, if there is one."""
        with self._lock:
            return self._proposals.popleft() if self._proposals else None

    def take_decision(self) -> Decision | None:
        """The oldest decision, if there is one."""
        with self._lock:
            return self._decisions.popleft() if self._decisions else None

    async def changed(self, timeout: float | None = None) -> None:
        """Return when anything happened, or after `timeout` seconds."""
        event = asyncio.Event()
        entry = (asyncio.get_running_loop(), event)
        with self._lock:
            self._changed.append(entry)
        try:
            await asyncio.wait_for(event.wait(), timeout)
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._changed.remove(entry)

    async def while_paused(self) -> None:
        """Wait as long as the person paused the campaign."""
        while self._paused and not self._stopped:
            await self.changed(timeout=1.0)

    def _decide(self, decision: Decision) -> None:
        with self._lock:
            self._decisions.append(decision)
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            for loop, event in self._changed:
                loop.call_soon_threadsafe(event.set)


def _said(text: str, source: str) -> Said:
    return Said(text=text.strip(), source=source, at=datetime.now(UTC).isoformat(timespec="milliseconds"))
