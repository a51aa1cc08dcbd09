"""A user at a campaign that runs in another process: watch, speak, leave, come back; several users at once.

`attach` shows what the `Watcher` sees and posts what is typed through `Controls`; the campaign answers each order.
How its process is begun stands in `starting.py`.
"""

from __future__ import annotations

import asyncio
import getpass
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from move37.app.chat import Prompt
from move37.app.ending import conclude
from move37.app.exits import Exit
from move37.app.live_state import LiveState
from move37.app.lookups import look_up
from move37.app.orders import Order, control_kind, control_text
from move37.app.starting import start
from move37.app.terminal import console
from move37.app.views.campaign import metric_of
from move37.app.watch import Watcher
from move37.lab.archive.controls import ControlKind, Controls

ANSWER_WITHIN = 5.0  # seconds that the campaign has to answer an order
EVERY = 0.5  # seconds between two looks


def attach(home: Path, campaign: int, *, user: str = "", past: int = 20) -> Exit:
    """Attach to a running campaign until it ends or the user leaves. Raises the archive's own errors."""
    return asyncio.run(_attach(home, campaign, user or who(), past))


def start_and_attach(
    home: Path, command: str, flags: Mapping[str, Any], more: Sequence[str] = (), *, past: int = 20
) -> Exit:
    """`chat` and `resume --chat` at a terminal: begin it in a process of its own, and attach to it."""
    screen = console()
    return attach(
        home, start(home, command, flags, more, tell=lambda line: screen.print(line, soft_wrap=True)), past=past
    )


def who() -> str:
    """The name that a line is signed with."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "person"


async def _attach(home: Path, campaign: int, user: str, past: int) -> Exit:
    screen = console()
    with Watcher(home, campaign, past=past) as watcher, Controls(home) as controls:
        board = LiveState(metric_of(watcher.campaign), watcher.known)

        async def send(order: Order) -> str:
            kind = control_kind(order)
            assert kind is not None  # what only looks never comes here
            ident = controls.post(
                campaign, kind, text=control_text(order), experiment=order.experiment or None, user=user
            )
            watcher.own.add(ident)
            return await _answer(controls, ident)

        prompt = Prompt(
            screen,
            board,
            send=send,
            look_up=lambda order: look_up(order, home, board, screen),
            on_interrupt=lambda: watcher.own.add(_interrupted(prompt, controls, campaign, user)),
            history=home / "history",
        )
        with prompt:
            leaving = asyncio.ensure_future(prompt.left.wait())
            while watcher.running and not prompt.left.is_set():
                for event in watcher.poll():
                    prompt(event)
                board.pause(watcher.paused)
                await asyncio.wait({leaving}, timeout=EVERY)
            left = leaving.done()
            leaving.cancel()
            for event in watcher.poll():
                prompt(event)
            await prompt.close()
    return _end(home, campaign, left=left)


def _end(home: Path, campaign: int, *, left: bool) -> Exit:
    if left:
        console().print("You left; the campaign goes on. `move37 attach` comes back.", soft_wrap=True)
    else:
        conclude(home, campaign)
    return Exit.DONE


async def _answer(controls: Controls, ident: int) -> str:
    """What the campaign says to an order, as soon as it says it."""
    deadline = time.monotonic() + ANSWER_WITHIN
    while time.monotonic() < deadline:
        found = controls.find(ident)
        if found is not None and found.answer is not None:
            return found.answer
        await asyncio.sleep(0.1)
    return "passed on; the campaign is busy and has not answered yet"


_last_interrupt = 0.0


def _interrupted(prompt: Prompt, controls: Controls, campaign: int, user: str) -> int:
    """The first Ctrl-C asks whoever speaks to begin anew, a second one within three seconds ends the campaign.

    The order's number.
    """
    global _last_interrupt
    again, _last_interrupt = time.monotonic() - _last_interrupt < 3.0, time.monotonic()
    if again:
        ident = controls.post(campaign, ControlKind.STOP, user=user)
        prompt.say("stopping: what is finished is kept, `move37 resume` goes on")
    else:
        ident = controls.post(campaign, ControlKind.INTERRUPT, user=user)
        prompt.say("whoever speaks begins anew; Ctrl-C again ends the campaign, Ctrl-D only leaves")
    return ident
