"""Turns that wait for an external agent, and the answers that end them. One event loop; any number of clients.

A turn waits in `PendingTurns` as long as its role's stage lasts. Nothing of it is stored: after a restart an
interrupted stage asks again, and what was answered before is in the archive.
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
        """(experiment, role): one turn of each waits at a time."""
        return self.experiment, self.role


class PendingTurns:
    """The turns that wait, by experiment and role."""

    def __init__(self) -> None:
        self._turns: dict[Key, Turn] = {}
        self._changed = asyncio.Event()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns that wait, oldest first."""
        return tuple(self._turns.values())

    def find(self, role: str, experiment: str | None = None) -> Turn | None:
        """The oldest turn of a role, of one experiment where it is named."""
        return next((t for t in self.turns if t.role == role and experiment in (None, t.experiment)), None)

    async def ask(self, turn: Turn, token: CancellationToken) -> BaseModel:
        """Wait for the answer to a turn; the turn is removed when this returns, raises or is cancelled."""
        token.link_future(turn.answer)
        self._turns[turn.key] = turn
        self.notify()
        try:
            return await turn.answer
        finally:
            if self._turns.get(turn.key) is turn:
                del self._turns[turn.key]
            self.notify()

    def put(self, turn: Turn, reply: BaseModel) -> bool:
        """Answer a turn; False when it has an answer already."""
        if turn.answer.done():
            return False
        turn.answer.set_result(reply)
        self._turns.pop(turn.key, None)
        return True

    def notify(self) -> None:
        """Wake every caller of `changed`."""
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
