"""A queue of what the user types, for the next speaker.

`say` and the commands may be called from any thread and never block; the campaign reads on its own loop.
Every line the user types is queued here and later stored in the archive; preferences for all later experiments stand in
`directions` until they are taken back.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from move37.agents.budget import BudgetChange
from move37.agents.clock import Pauses
from move37.agents.directions import Direction, Directions, Kind, add, undo
from move37.lab.archive.codec import storable
from move37.lab.archive.message import ANYBODY, PROPOSED, UNHEARD, Message, now


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A user's answer to a request for approval, or a veto without a request."""

    kind: Literal["approve", "veto"]
    reason: str = ""
    experiment: str = ""  # which request it answers; empty: the oldest
    source: str = "person"


class Inbox:
    """A thread-safe queue of lines, decisions and changes, with pause and stop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[Message] = deque()
        self._proposals: deque[Message] = deque()
        self._decisions: deque[Decision] = deque()
        self._unstored: deque[Message] = deque()
        self._budget_changes: deque[BudgetChange] = deque()
        self._paused = False
        self._stopped = False
        self.pauses = Pauses()  # the campaign's clock is stopped while one is held
        self.directions = Directions()
        self.acts = 0  # what users did here so far
        self.interruptions = 0  # a counter: a speaker compares it with its value when the turn began
        self._changed: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    # What the user does ------------------------------------------------------------------------------------

    def say(self, text: str, source: str = "person", *, to: str = "") -> None:
        """Queue a line for the next speaker, or for the agent `to`."""
        said = _said(text, source, to=to or ANYBODY)
        with self._lock:
            self._lines.append(said)
            self._unstored.append(said)
        self._wake()

    def propose(self, text: str, source: str = "person") -> None:
        """Hand a hypothesis to the next experiment's Researcher."""
        said = _said(text, source, PROPOSED)
        with self._lock:
            self._proposals.append(said)
            self._unstored.append(said)
        self._wake()

    def approve(self, experiment: str = "", source: str = "person") -> None:
        """Answer the open request of `experiment`, or the oldest one."""
        self._decide(Decision(kind="approve", experiment=experiment, source=source))

    def veto(self, reason: str, experiment: str = "", source: str = "person") -> None:
        """End `experiment`; without an id the oldest one that waits for approval, or else the newest running one."""
        reason = storable(reason) or "no reason given"
        self._decide(Decision(kind="veto", reason=reason, experiment=experiment, source=source))

    def direct(self, kind: Kind, text: str, source: str = "person") -> None:
        """A preference for all later experiments: a parent to pin or ban, or a line that each of them is told."""
        said = Direction(kind=kind, text=storable(text.strip()), user=source, at=now())
        with self._lock:
            self.directions = add(self.directions, said)
        self._wake()

    def undo(self) -> Direction | None:
        """Take the newest preference back; None when none stands."""
        with self._lock:
            self.directions, gone = undo(self.directions)
        self._wake()
        return gone

    def change_budget(self, change: BudgetChange) -> None:
        """New limits for the campaign, from now on."""
        with self._lock:
            self._budget_changes.append(change)
        self._wake()

    def interrupt(self) -> None:
        """The speaker's model call begins again with what was typed meanwhile; without a speaker nothing happens."""
        with self._lock:
            self.interruptions += 1
        self._wake()

    def pause(self) -> None:
        """No new turn and no new job until `resume`; running ones go on, the campaign's clock is stopped."""
        self._set_paused(True)
        self._wake()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._set_paused(False)
        self._wake()

    def stop(self) -> None:
        """End the campaign; what is finished stays, the rest can be resumed."""
        self._stopped = True
        self._set_paused(False)
        self._wake()

    # What the campaign reads ---------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether turns have to wait."""
        return self._paused

    @property
    def stopped(self) -> bool:
        """Whether the user ended the campaign."""
        return self._stopped

    def waiting(self, speaker: str = "") -> bool:
        """Whether a line waits for `speaker` (for anybody, where none is named)."""
        return any(_is_for(speaker, line) for line in self._lines)

    def take_lines(self, speaker: str = "") -> tuple[Message, ...]:
        """Remove and return the queued lines, but those that are for another agent than `speaker`."""
        with self._lock:
            lines = tuple(line for line in self._lines if _is_for(speaker, line))
            self._lines = deque(line for line in self._lines if line not in lines)
        return lines

    def take_unstored(self) -> tuple[Message, ...]:
        """Lines and proposals that are not in the archive yet; they are stored before an agent gets them."""
        with self._lock:
            lines = tuple(self._unstored)
            self._unstored.clear()
        return lines

    def put_back(self, said: Message) -> None:
        """Queue a line or proposal that an earlier session stored and no agent got."""
        with self._lock:
            (self._proposals if said.stage == PROPOSED else self._lines).append(said)

    def put_back_directions(self, stored: Directions) -> None:
        """Put preferences of earlier sessions before those of this one."""
        with self._lock:
            self.directions = Directions(standing=(*stored.standing, *self.directions.standing))

    def take_proposal(self) -> Message | None:
        """The oldest proposal, if there is one."""
        with self._lock:
            return self._proposals.popleft() if self._proposals else None

    def take_decision(self, accepts: Callable[[Decision], bool] = lambda _: True) -> Decision | None:
        """The oldest decision that `accepts` takes, if there is one."""
        with self._lock:
            found = next((d for d in self._decisions if accepts(d)), None)
            if found is not None:
                self._decisions.remove(found)
            return found

    def on_its_way(self, experiment: str) -> Decision | None:
        """The answer to the request of `experiment` that was given last and not taken yet, if there is one."""
        with self._lock:
            return next((d for d in reversed(self._decisions) if d.experiment == experiment), None)

    def take_budget_change(self) -> BudgetChange | None:
        """The oldest change of limits that is not carried out, if there is one."""
        with self._lock:
            return self._budget_changes.popleft() if self._budget_changes else None

    async def changed(self, timeout: float | None = None) -> None:
        """Return when anything happened, or after `timeout` seconds."""
        event = asyncio.Event()
        entry = (asyncio.get_running_loop(), event)
        with self._lock:
            self._changed.append(entry)
        try:
            async with asyncio.timeout(timeout):  # wait_for would swallow a cancellation that meets a change
                await event.wait()
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._changed.remove(entry)

    async def while_paused(self) -> None:
        """Return when the campaign is not paused."""
        while self._paused and not self._stopped:
            await self.changed(timeout=1.0)

    def _set_paused(self, wanted: bool) -> None:
        with self._lock:
            changes, self._paused = wanted != self._paused, wanted
        if changes:
            (self.pauses.hold if wanted else self.pauses.release)()

    def _decide(self, decision: Decision) -> None:
        with self._lock:
            self._decisions.append(decision)
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            self.acts += 1
            for loop, event in self._changed:
                loop.call_soon_threadsafe(event.set)


def _said(text: str, source: str, stage: str = UNHEARD, to: str = ANYBODY) -> Message:
    return Message(text=storable(text.strip()), source=source, user=True, stage=stage, to=to)


def _is_for(speaker: str, line: Message) -> bool:
    return line.to == ANYBODY or not speaker or line.to == speaker
