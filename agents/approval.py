"""When a person has to say yes: one request at a time, answered by the inbox's next decision."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from move37.agents.events import ApprovalRequested, OnEvent
from move37.agents.inbox import Decision, Inbox
from move37.agents.roles import LAB, PERSON
from move37.lab.archive.store import Line, now

Approve = Literal["never", "hypotheses", "code", "promotions"]
Kind = Literal["hypothesis", "code", "promotion"]
_ASKS: dict[Approve, Kind | None] = {
    "never": None,
    "hypotheses": "hypothesis",
    "code": "code",
    "promotions": "promotion",
}


class Approvals:
    """Asks the person for what the mode names, and for nothing else."""

    def __init__(self, mode: Approve, inbox: Inbox, on_event: OnEvent, store: Callable[[Line], None]) -> None:
        self._kind = _ASKS[mode]
        self._inbox = inbox
        self._on_event = on_event
        self._store = store
        self._turn = asyncio.Lock()

    @property
    def waiting(self) -> bool:
        """Whether a request is open: then the next decision answers it."""
        return self._turn.locked()

    async def asked(self, experiment: str, kind: Kind, text: str) -> str:
        """The reason of the person's veto, or "" when it may go on. Waits until somebody answers.

        Raises `asyncio.CancelledError` when the campaign is stopped meanwhile.
        """
        if kind != self._kind:
            return ""
        async with self._turn:
            self._on_event(ApprovalRequested(experiment=experiment, kind=kind, text=text))
            while not self._inbox.stopped:
                decision = self._inbox.take_decision()
                if decision is not None:
                    self._store(decided(decision, experiment, stage=kind))
                    return decision.reason if decision.kind == "veto" else ""
                await self._inbox.changed(timeout=1.0)
        raise asyncio.CancelledError


def decided(decision: Decision, experiment: str, *, stage: str) -> Line:
    """A person's decision as a line of the experiment's conversation."""
    text = f"/{decision.kind} {decision.reason}".strip()
    return Line(source=PERSON, to=LAB, text=text, at=now(), person=True, experiment=experiment, stage=stage)
