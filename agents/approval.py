"""Requests for the user's approval: several may wait at once, each is answered by its id, each has a timeout.

After the timeout the campaign goes on as if approved, and a notice says so. Whoever did nothing while one request was
open is not waited for again until they do something: a night has many requests and one timeout. `auto` asks in few
cases (`Doubt`): where the Critic objected and the hypothesis is tried all the same, where the second idea was as
promising as the first (`is_close`), and where a step is expensive. While a request waits, the campaign's clock is
stopped. Held-out text is opened where a claim is asked at a campaign's end, and at no other point.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from move37.agents.events import ApprovalClosed, ApprovalRequested, Notice, OnEvent
from move37.agents.inbox import Decision, Inbox
from move37.agents.roles import LAB, USER
from move37.lab.archive.message import Message
from move37.lab.forecasts import chance_of_more
from move37.lab.records import Forecast

Approve = Literal["never", "hypotheses", "code", "promotions", "auto"]
Kind = Literal["hypothesis", "code", "promotion", "held_out"]
Doubt = Literal["contested", "close", "dear", "held_out"]  # why `auto` would ask
DEAR = 0.1  # share of the time left: `auto` asks before a step that costs more
TOSS_UP = 0.4  # chance that the second idea gains more than the first, from which the choice is a toss-up
ASKED = 4  # hypotheses of a campaign, of which `auto` asks about one for being a toss-up
TIMEOUT = 600.0  # seconds
NOBODY = "Nobody has been here since the last request went on by itself (any line, and you are asked again)"
_ASKS: dict[Approve, tuple[Kind, ...]] = {
    "never": (),
    "hypotheses": ("hypothesis",),
    "code": ("code",),
    "promotions": ("promotion", "held_out"),
    "auto": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """Something that waits for a user."""

    experiment: str
    kind: Kind
    text: str


def wants(mode: Approve, kind: Kind, doubt: Doubt | None) -> bool:
    """Whether `mode` asks the user here. Pure."""
    return kind in _ASKS[mode] or (mode == "auto" and doubt is not None)


def is_dear(cost: float, left: float | None) -> bool:
    """Whether a step that takes `cost` seconds is more than a tenth of the `left` ones. Pure."""
    return left is not None and cost > DEAR * left


def is_close(first: Sequence[Forecast], second: Sequence[Forecast]) -> bool:
    """Whether the idea that was chosen and the next one are a toss-up, by whoever foretold both. Pure.

    Where the second one is foretold to gain more, the ranking is in doubt all the more.
    """
    chances = [chance_of_more(f, s) for f in first for s in second if f.author == s.author]
    return bool(chances) and min(chances) >= TOSS_UP


def may_ask_again(asked: int, begun: int) -> bool:
    """Whether another toss-up may be asked about, after `asked` of the `begun` hypotheses of a campaign. Pure.

    Forecasts are wide beside their differences: a quarter of the pairs that a search foretold are toss-ups
    (docs/figures/people.md), and ideas of one moment are more alike. Who is asked too often answers without
    reading.
    """
    return asked * ASKED < begun


class Approvals:
    """Asks the user wherever the mode of approval says so (`wants`)."""

    def __init__(
        self,
        mode: Approve,
        inbox: Inbox,
        on_event: OnEvent,
        store: Callable[[Message], None],
        *,
        timeout: float | None = TIMEOUT,
    ) -> None:
        self._mode: Approve = mode
        self._inbox = inbox
        self._on_event = on_event
        self._store = store
        self._timeout = timeout
        self._open: list[OpenRequest] = []
        self._alone_at: int | None = None  # `Inbox.acts` when a request ended in whose time nobody did anything

    @property
    def waiting(self) -> tuple[OpenRequest, ...]:
        """Open requests, oldest first: a decision without an id answers the first."""
        return tuple(self._open)

    async def asked(
        self, experiment: str, kind: Kind, text: str, *, doubt: Doubt | None = None,
        keep: Callable[[str], None] = lambda veto: None,
    ) -> str:  # fmt: skip
        """The reason of the user's veto, or "" when it may go on: approved, not asked for, or not answered in time.

        `keep` gets an answer, and only an answer, before anything acts on it.

        Once the campaign is stopped it never returns: the campaign cancels the task that waits here.
        """
        if not wants(self._mode, kind, doubt):
            return ""
        request = OpenRequest(experiment=experiment, kind=kind, text=text)
        if (acts := self._inbox.acts) == self._alone_at:
            return self._unanswered(request, NOBODY)
        self._open.append(request)
        self._on_event(ApprovalRequested(experiment=experiment, kind=kind, text=text, seconds=self._timeout))
        try:
            with self._inbox.pauses.held():
                decision = await self._decision(request)
        finally:
            self._open.remove(request)
        if decision is None:
            self._alone_at = acts
            self._on_event(ApprovalClosed(experiment=experiment, answer="nobody answered in time"))
            return self._unanswered(request, f"Nobody answered within {self._timeout:.0f} s")
        self._store(decided(decision, experiment, stage=kind))
        veto = decision.reason if decision.kind == "veto" else ""
        keep(veto)
        self._on_event(ApprovalClosed(experiment=experiment, answer=in_words(decision)))
        return veto

    async def _decision(self, request: OpenRequest) -> Decision | None:
        """The answer, or None after the timeout, which does not run while the campaign is paused or stopped."""
        left = self._timeout
        while True:
            if not self._inbox.stopped and (decision := self._inbox.take_decision(lambda d: self._answers(d, request))):
                return decision
            if left is not None and left <= 0:
                return None
            began = time.monotonic()
            await self._inbox.changed(timeout=1.0 if left is None else min(1.0, left))
            if left is not None and not self._inbox.paused and not self._inbox.stopped:
                left -= time.monotonic() - began

    def _answers(self, decision: Decision, request: OpenRequest) -> bool:
        return decision.experiment == request.experiment or (not decision.experiment and self._open[0] is request)

    def _unanswered(self, request: OpenRequest, why: str) -> str:
        text = f"{why}: {request.kind} of {request.experiment} goes on."
        self._store(Message(source=LAB, to=USER, text=text, experiment=request.experiment, stage=request.kind))
        self._on_event(Notice(text=text))
        return ""


def in_words(decision: Decision) -> str:
    """Who answered, and what, for whoever comes too late."""
    return f"{decision.source} {'approved it' if decision.kind == 'approve' else f'vetoed it: {decision.reason}'}"


def decided(decision: Decision, experiment: str, *, stage: str) -> Message:
    """A user's decision as a line of the experiment's conversation."""
    text = f"/{decision.kind} {decision.reason}".strip()
    return Message(source=decision.source, to=LAB, text=text, user=True, experiment=experiment, stage=stage)
