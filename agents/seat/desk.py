"""Turns that wait for somebody outside, and the answers that end them. One event loop; any number of clients.

A turn lies on the desk while its role's stage is held. Nothing of it is stored: a stage that was interrupted asks again
after a restart, and what was answered before is in the archive.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from autogen_core import CancellationToken
from pydantic import BaseModel

from move37.agents.research_context import ResearchContext

Key = tuple[str, str]  # experiment, role


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One role's turn in one experiment."""

    experiment: str
    role: str
    stage: str
    reply: type[BaseModel]  # what must be answered
    context: ResearchContext
    heard: tuple[BaseModel | str, ...] = ()  # since the stage opened, the opening left out
    answer: asyncio.Future[BaseModel] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def key(self) -> Key:
        """What it is found by."""
        return self.experiment, self.role


class SeatDesk:
    """Turns by experiment and role."""

    def __init__(self) -> None:
        self._turns: dict[Key, Turn] = {}
        self._changed = asyncio.Event()
        self.context: ResearchContext | None = None  # of the newest turn: what anybody may read meanwhile

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What waits, oldest first."""
        return tuple(self._turns.values())

    def find(self, role: str, experiment: str | None = None) -> Turn | None:
        """The oldest turn of a role, of one experiment where it is named."""
        return next((t for t in self.turns if t.role == role and experiment in (None, t.experiment)), None)

    async def ask(self, turn: Turn, token: CancellationToken) -> BaseModel:
        """Lay the turn down and wait for its answer; it is taken away again however this ends."""
        token.link_future(turn.answer)
        self._turns[turn.key] = turn
        self.context = turn.context
        self.notify()
        try:
            return await turn.answer
        finally:
            if self._turns.get(turn.key) is turn:
                del self._turns[turn.key]
            self.notify()

    def put(self, turn: Turn, reply: BaseModel) -> bool:
        """Answer a turn; False when somebody else was quicker."""
        if turn.answer.done():
            return False
        turn.answer.set_result(reply)
        self._turns.pop(turn.key, None)
        return True

    def notify(self) -> None:
        """Wake whoever waits for a change, here or in the campaign."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seconds: float) -> None:
        """Return at the next change, or after so many seconds."""
        event = self._changed
        try:
            async with asyncio.timeout(seconds):  # wait_for would swallow a cancellation that meets a change
                await event.wait()
        except TimeoutError:
            return
