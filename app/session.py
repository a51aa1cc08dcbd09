"""One session of a campaign: display and inbox around `move37.app.wiring`, from the first line to the leaderboard.

`conduct` is what run, chat and resume share. A signal stops the campaign and keeps what is finished, a second one ends
it at once, and what does not end within a minute is ended. Whatever ends it, what is stored can be resumed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from rich.text import Text

from move37.agents.events import Event, Notice
from move37.agents.inbox import Inbox
from move37.app import chat, display, logs, wiring
from move37.app.ending import conclude
from move37.app.exits import EnvironmentFault, Exit
from move37.app.formatters import told_so_far
from move37.app.live_state import LiveState
from move37.app.lookups import look_up
from move37.app.notify import sender_of
from move37.app.orders import Order
from move37.app.reading import reading
from move37.app.settings import Settings
from move37.app.steering import Steering
from move37.app.terminal import console
from move37.app.text import counted, one_line
from move37.app.views.campaign import metric_of
from move37.lab.archive.message import Message
from move37.lab.archive.store import Campaign
from move37.lab.records import Experiment
from move37.lab.tasks.task import Schedule

PAST = 200  # lines of the conversation that are told to whoever comes back
GRACE = 30.0  # seconds that a stopping campaign has before it is cancelled, and again before it is ended


def conduct(settings: Settings, *, again: Campaign | None = None, interactive: bool = False) -> Exit:
    """Run (or, with `again`, resume) a campaign and show how it ended. Raises what the campaign raised."""
    check_home(settings.home)
    session = _Session(settings, again, interactive)
    try:
        interrupted = asyncio.run(session.hold())
    except BaseException:
        # However it ended, what it found is shown, and what to type next; then the error is told.
        if session.campaign is not None:
            with suppress(Exception):
                conclude(settings.home, session.campaign)
        raise
    if session.campaign is not None:
        conclude(settings.home, session.campaign)
    return Exit.INTERRUPTED if interrupted else Exit.DONE


def check_home(home: Path) -> None:
    """Raises `EnvironmentFault` when nothing can be stored in `home`; creates nothing."""
    place = home.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise EnvironmentFault(f"{place} is a file, so that {home} cannot be a home: choose a folder with --home DIR")
    if not os.access(place, os.W_OK | os.X_OK):
        raise EnvironmentFault(f"{place} is not writable: choose another place with --home DIR")


class _Session:
    def __init__(self, settings: Settings, again: Campaign | None, interactive: bool) -> None:
        self._settings = settings
        self._again = again
        self._interactive = interactive  # lines are read from stdin
        self._screen = console()
        self._inbox = Inbox()
        self._display: display.Display | None = None
        self._steering: Steering | None = None
        self._send = sender_of(settings, again)
        self._open = ExitStack()
        self._signals: list[int] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.campaign: int | None = None

    async def hold(self) -> bool:
        """Carry the campaign through; True when a signal ended it."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._task, self._loop = task, loop
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled, number)
        try:
            with self._open:
                await self._carry_through()
        except asyncio.CancelledError:
            if not self._signals:
                raise
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        return bool(self._signals)

    async def _carry_through(self) -> None:
        watch: dict[str, Any] = {"inbox": self._inbox, "on_event": self._event, "on_ready": self._ready}
        session = (
            await wiring.run_campaign(self._settings, **watch)
            if self._again is None
            else await wiring.resume_campaign(self._settings, campaign=self._again.id, **watch)
        )
        if session is not None and self._steering is not None:
            self._steering.ending = (session.ending.status, session.ending.reason)

    def _ready(self, campaign: Campaign, schedule: Schedule) -> None:
        # Only now is it certain that the input was good: before this nothing is created and nothing is drawn.
        self.campaign = campaign.id
        logs.to_file(self._settings.home, self._settings.log_level)
        known: tuple[Experiment, ...] = ()
        said: tuple[Message, ...] = ()
        if self._again is not None:
            with reading(self._settings.home) as archive:
                known = archive.experiments(campaign.id)
                said = archive.lines(campaign=campaign.id) if self._interactive else ()
        self._greet(campaign)
        for text in told_so_far(said, PAST):  # on a pipe: at a terminal `attach` tells it
            self._screen.print(text, soft_wrap=True)
        board = LiveState(metric_of(campaign), known)
        self._steering = self._open.enter_context(
            Steering(self._settings.home, campaign, board, self._inbox, self._event, send=self._send)
        )
        self._display = self._open.enter_context(self._open_display(board))

    def _open_display(self, board: LiveState) -> display.Display:
        if not self._interactive:
            return display.choose(self._screen, board)
        home, screen = self._settings.home, self._screen
        return chat.PipeInput(screen, board, self._from_pipe, lambda order: look_up(order, home, board, screen))

    def _from_pipe(self, order: Order) -> str:
        """An order of the pipe's thread, carried out on the loop as those of other processes are: what waits is looked
        up and answered in one step, with no other answer in between.
        """
        assert self._loop is not None
        if not self._loop.is_running():
            return "the campaign has ended"

        async def carried_out() -> str:
            return self._carry_out(order)

        with suppress(CancelledError):  # it ended in this moment
            return asyncio.run_coroutine_threadsafe(carried_out(), self._loop).result()
        return "the campaign has ended"

    def _carry_out(self, order: Order) -> str:
        assert self._steering is not None
        return self._steering.carry_out(order)

    def _event(self, event: Event) -> None:
        if self._display is None and isinstance(event, Notice):  # before there is a campaign: a model is waited for
            self._screen.print(one_line(event.text), soft_wrap=True)
        for watching in (self._display, self._steering):
            if watching is not None:
                watching(event)

    def _greet(self, campaign: Campaign) -> None:
        brief = campaign.brief
        verb = "resuming" if self._again else "beginning"
        signs = ", a search without a language model" if brief.model == "designer" else ""
        words = (
            f"{verb} campaign {campaign.id} in {self._settings.home}: {brief.task}, {brief.preset} preset, "
            f"{counted(brief.budget, 'candidate')}, seed {brief.seed}, model {brief.model}{signs}"
        )
        self._screen.print(Text.assemble(("move37 ", "bold"), one_line(words)), soft_wrap=True)

    def _signalled(self, number: int) -> None:
        self._signals.append(number)
        self._inbox.stop()
        if len(self._signals) > 1:
            self._task.cancel()
            return
        self._screen.print(Text("stopping; Ctrl-C again ends it at once", style="bold"))
        loop = asyncio.get_running_loop()
        loop.call_later(GRACE, self._task.cancel)
        loop.call_later(2 * GRACE, _end)


def _end() -> None:
    # Every finished stage is committed and the kernel ends what we started, so that nothing is lost by leaving now.
    print("move37: it did not stop in time and was ended; `move37 resume` goes on", file=sys.stderr, flush=True)
    os._exit(Exit.INTERRUPTED)
