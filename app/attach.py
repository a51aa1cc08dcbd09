"""A user at a campaign that runs in another process: watch, speak, leave, come back; several users at once.

`attach` shows what the `Watcher` sees and posts what is typed through `Controls`; the campaign answers each order.
`start` begins a campaign in a process of its own, so that leaving the table (or closing the terminal) ends nothing.
"""

from __future__ import annotations

import asyncio
import getpass
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from move37.app.chat import Prompt
from move37.app.ending import conclude
from move37.app.exits import BadInput, EnvironmentFault, Exit
from move37.app.live_state import LiveState
from move37.app.lookups import look_up
from move37.app.orders import Order, control_kind, control_text
from move37.app.reading import has_archive, reading
from move37.app.terminal import console
from move37.app.views.campaign import metric_of
from move37.app.watch import Watcher
from move37.lab.archive.controls import ControlKind, Controls
from move37.lab.errors import ArchiveEmpty

ANSWER_WITHIN = 5.0  # seconds that the campaign has to answer an order
BEGIN_WITHIN = 120.0  # seconds from the start of a process to its campaign's row
EVERY = 0.5  # seconds between two looks


def attach(home: Path, campaign: int, *, user: str = "", past: int = 20) -> Exit:
    """Attach to a running campaign until it ends or the user leaves. Raises the archive's own errors."""
    return asyncio.run(_attach(home, campaign, user or who(), past))


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
            while watcher.running and not prompt.left.is_set():
                for event in watcher.poll():
                    prompt(event)
                board.pause(watcher.paused)
                await asyncio.wait({asyncio.ensure_future(prompt.left.wait())}, timeout=EVERY)
            for event in watcher.poll():
                prompt(event)
            await prompt.close()
    return _end(home, campaign, left=prompt.left.is_set())


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


def start(home: Path, command: str, flags: Mapping[str, Any], more: Sequence[str] = ()) -> int:
    """Begin `command` (run or resume) in a process of its own; the campaign's number once it runs.

    Raises `EnvironmentFault` or `BadInput` with what the process said, when it ends before its campaign begins.
    """
    before = _running_campaigns(home)
    home.mkdir(parents=True, exist_ok=True)
    said = home / "logs" / "session.txt"
    said.parent.mkdir(exist_ok=True)
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "move37", "--home", str(home), command, *arguments(flags), *more],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # a closed terminal or a Ctrl-C there is not its own
        )
    deadline = time.monotonic() + BEGIN_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            text = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            words = text[-1].removeprefix("move37: ") if text else f"it ended with status {process.returncode}"
            raise (BadInput if process.returncode == Exit.WRONG_USE else EnvironmentFault)(words)
        begun = _running_campaigns(home) - before
        if begun:
            return max(begun)[0]
        time.sleep(0.1)
    process.terminate()
    raise EnvironmentFault(f"the campaign did not begin within {BEGIN_WITHIN:.0f} s: see {said}")


def arguments(flags: Mapping[str, Any]) -> list[str]:
    """Settings as the options that they came from: what `commands/options.py` put into tables is taken out. Pure."""
    flat = {name: value for name, value in flags.items() if name not in ("home", "docker", "scale")}
    flat |= dict(flags.get("docker", {}))
    flat |= {"scale": flags["scale"]["name"]} if "scale" in flags else {}
    named = [(name.replace("_", "-"), value) for name, value in flat.items()]
    switches = [f"--{name}" if value else f"--no-{name}" for name, value in named if isinstance(value, bool)]
    valued = [part for name, v in named if not isinstance(v, bool) for part in (f"--{name}", str(v))]
    return valued + switches


def _running_campaigns(home: Path) -> set[tuple[int, int]]:
    """(campaign, how often it was begun): a resumed one counts anew by its sessions."""
    if not has_archive(home):
        return set()
    try:
        with reading(home) as archive:
            return {(c.id, int(c.facts.get("sessions", 0))) for c in archive.campaigns() if c.status == "running"}
    except ArchiveEmpty:  # the process is creating it at this moment
        return set()
