"""A campaign open to other processes: what it does put where they see it, what they ask for carried out and answered.

Whoever runs a campaign enters a `Steering` once the campaign has its row, and hands it every event: a terminal's
session (`session.py`) and the laboratory behind the MCP tools. A campaign without one shows as running on the page, and
answers nobody.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

from move37.agents.events import Event, Notice, OnEvent
from move37.agents.inbox import Inbox
from move37.agents.ledger import pool
from move37.agents.models import roles_of_models
from move37.app.live_log import LiveLog, serve_controls
from move37.app.live_state import LiveState
from move37.app.notify import Notifier, Send
from move37.app.orders import Order, carry_out, is_idea, order_of
from move37.app.reading import reading
from move37.app.situation import situation
from move37.app.text import one_line
from move37.lab.archive.controls import TOLD_AS_LINES, Control, Controls
from move37.lab.archive.store import Campaign
from move37.lab.errors import ArchiveError


class Steering:
    """Orders from here and elsewhere to one campaign. Entered and left on the campaign's loop."""

    def __init__(
        self,
        home: Path,
        campaign: Campaign,
        board: LiveState,
        inbox: Inbox,
        tell: OnEvent,
        *,
        send: Send | None = None,
        tell_lines: bool = False,
    ) -> None:
        """`tell` hears of orders from elsewhere; of lines for the agents, too, with `tell_lines`. `send`: to the user's
        own place for notices.
        """
        self._home = home
        self._campaign = campaign
        self._board = board
        self._inbox = inbox
        self._tell = tell
        self._send = send
        self._tell_lines = tell_lines
        self._live: LiveLog | None = None
        self._notifier: Notifier | None = None
        self.ending = ("stopped", "it was ended")  # status and reason; whoever runs the campaign says others

    def __enter__(self) -> Self:
        self._live = LiveLog(self._home, self._campaign.id)
        loop = asyncio.get_running_loop()
        if self._send is not None:
            self._notifier = Notifier(self._send, self._campaign.id, partial(self._not_sent, loop))
        serving = serve_controls(self._home, self._campaign.id, self._from_outside)
        self._serving = loop.create_task(serving)
        return self

    def __exit__(self, *exc: object) -> None:
        self._serving.cancel()
        with suppress(ArchiveError), Controls(self._home) as controls:  # what came too late is told so
            controls.void(self._campaign.id)
        if self._notifier is not None:
            broke = isinstance(exc[1], Exception)
            self._notifier.ended(*("stopped", str(exc[1]) or type(exc[1]).__name__) if broke else self.ending)
            self._notifier.__exit__(*exc)
        assert self._live is not None
        self._live.__exit__(*exc)

    def __call__(self, event: Event) -> None:
        """Put an event where other processes see it, and users who are elsewhere hear of it."""
        for hears in (self._live, self._notifier):
            if hears is not None:
                hears(event)

    def see(self, event: Event) -> None:
        """The same, and keep the board, where no display does it."""
        self._board.see(event)
        self(event)

    def carry_out(self, order: Order, user: str = "person") -> str:
        """Do it; what the user is told."""
        brief = self._campaign.brief
        at = situation(
            self._board,
            order,
            search=brief.model == "designer",
            task=brief.task,
            ideas=self._ideas() if order.verb == "propose" and is_idea(order.text) else (),
            models=roles_of_models(brief.model),
        )
        answer = carry_out(order, self._inbox, at, user=user)
        self._board.pause(self._inbox.paused)
        if self._live is not None:
            self._live.paused(self._inbox.paused)
        return answer

    def _from_outside(self, control: Control) -> str:
        """An order of another process: carried out, shown here too, answered there."""
        answer = self.carry_out(order_of(control), user=control.user)
        if control.kind not in TOLD_AS_LINES:  # those are told when stored
            said = f"/{control.kind.value} {control.experiment or ''} {control.text}"
            self._tell(Notice(text=one_line(f"{control.user}: {said}", 200), order=True))
        elif self._tell_lines:
            self._tell(Notice(text=one_line(f"{control.user}: {control.text}", 2_000), order=True))
        return answer

    def _not_sent(self, loop: asyncio.AbstractEventLoop, sentence: str) -> None:
        """From the thread of the notices."""
        with suppress(RuntimeError):  # the loop ended meanwhile
            loop.call_soon_threadsafe(self._tell, Notice(text=sentence))

    def _ideas(self) -> tuple[str, ...]:
        with reading(self._home) as archive:
            return tuple(idea.id for idea in pool(archive.experiments(self._campaign.id)))
