"""A person at the table: lines and slash commands, read without ever holding the agents up.

`understand` and `carry_out` are the whole language, without a terminal. `Prompt` is the seat at a terminal
(prompt_toolkit in the campaign's own loop); `Seat` reads lines from a stdin that is no terminal, in a thread, and the
end of the pipe ends nothing.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Self

from rich.console import Console
from rich.text import Text

from move37.agents.events import Event
from move37.agents.inbox import Inbox
from move37.app.board import Board
from move37.app.display import Plain, status_lines
from move37.app.text import one_line, spark

LONGEST = 8_000  # characters of one line; more is cut
HELP: tuple[tuple[str, str], ...] = (
    ("any line", "the next speaker hears it and answers"),
    ("/propose TEXT", "hand a hypothesis to the next experiment"),
    ("/approve", "let what waits for you go on"),
    ("/veto REASON", "end what waits for you, or else the newest experiment"),
    ("/pause", "no new turn and no new job; what runs goes on"),
    ("/resume", "go on"),
    ("/stop", "end the campaign; `move37 resume` can continue it"),
    ("/help", "this list"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A line that was understood."""

    verb: str  # say, propose, approve, veto, pause, resume, stop, help, or "" for a line that asks for nothing
    text: str = ""
    problem: str = ""  # why it cannot be carried out, one sentence


def understand(line: str) -> Order:
    """What a typed line asks for. Never raises; a line that cannot be carried out says why."""
    text = "".join(c for c in line if c.isprintable() or c == "\t").strip()[:LONGEST]
    if not text:
        return Order(verb="")
    if not text.startswith("/"):
        return Order(verb="say", text=text)
    word, _, rest = text[1:].partition(" ")
    verbs = [form.split()[0] for form, _ in HELP if form.startswith("/")]
    if f"/{word.lower()}" not in verbs:
        return Order(verb="", problem=f"/{one_line(word, 30)} is not known here: {', '.join(verbs)}")
    if word.lower() == "propose" and not rest.strip():
        return Order(verb="", problem="say what to propose: /propose TEXT")
    return Order(verb=word.lower(), text=rest.strip())


def carry_out(order: Order, inbox: Inbox) -> str:
    """Hand an order to the campaign; gives back what the person is told. Never blocks."""
    match order.verb:
        case "say":
            inbox.say(order.text)
            return "noted: the next speaker hears it"
        case "propose":
            inbox.propose(order.text)
            return "proposed: the next experiment's Researcher gets it"
        case "approve":
            inbox.approve()
            return "your approval is passed on"
        case "veto":
            inbox.veto(order.text)
            return "your veto is passed on"
        case "pause":
            inbox.pause()
            return "paused: what runs goes on, nothing new begins; /resume goes on"
        case "resume":
            inbox.resume()
            return "going on"
        case "stop":
            inbox.stop()
            return "stopping: what is finished is kept, `move37 resume` goes on"
        case "help":
            return "\n".join(f"{form:<15} {meaning}" for form, meaning in HELP)
    return order.problem


class Seat(Plain):
    """A chair at the table for a stdin that is no terminal: events as plain lines, answers between them."""

    def __init__(self, screen: Console, board: Board, inbox: Inbox) -> None:
        super().__init__(screen, board)
        self._inbox = inbox

    def __enter__(self) -> Self:
        threading.Thread(target=self._read, args=(sys.stdin.buffer,), daemon=True, name="chat-input").start()
        return self

    def _read(self, stream: BinaryIO) -> None:
        # readline() returns at each line, where iterating would wait for a whole buffer.
        for raw in iter(lambda: stream.readline(4 * LONGEST), b""):
            answer = carry_out(understand(raw.decode("utf-8", errors="replace")), self._inbox)
            if answer:
                self._screen.print(Text(answer, style="bold"), soft_wrap=True)


class Prompt:
    """A chair at a terminal: a line to type on, with what runs now in the bar below it."""

    def __init__(self, screen: Console, board: Board, inbox: Inbox, on_interrupt: Callable[[], None]) -> None:
        self._screen = screen
        self._board = board
        self._inbox = inbox
        self._on_interrupt = on_interrupt
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        from prompt_toolkit.patch_stdout import patch_stdout

        self._patch = patch_stdout(raw=True)
        self._patch.__enter__()
        self._screen.file = sys.stdout  # the patched one, which draws above the prompt
        self._screen.print(Text("Type at any moment; /help lists what else you can do.", style="dim"))
        self._task = asyncio.get_running_loop().create_task(self._read())
        return self

    def __exit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
        self._patch.__exit__(None, None, None)
        self._screen.file = sys.__stdout__ or sys.stdout

    def __call__(self, event: Event) -> None:
        """Print the event's line above the prompt."""
        text = self._board.see(event)
        if text is not None:
            self._screen.print(text)

    async def _read(self) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
        from prompt_toolkit.formatted_text import FormattedText

        words = WordCompleter([form.split()[0] for form, _ in HELP if form.startswith("/")], sentence=True)
        session: PromptSession[str] = PromptSession(
            completer=words,
            complete_while_typing=False,
            reserve_space_for_menu=0,
            bottom_toolbar=lambda: FormattedText([("", self._bar())]),
        )
        while True:
            try:
                line = await session.prompt_async("you: ", refresh_interval=0.5, handle_sigint=False)
            except KeyboardInterrupt:
                # The prompt holds the terminal in raw mode, so that Ctrl-C arrives as a key and not as a signal.
                self._on_interrupt()
                continue
            except EOFError:
                self._screen.print(Text("You left the table; the campaign goes on. Ctrl-C stops it.", style="dim"))
                return
            answer = carry_out(understand(line), self._inbox)
            if answer:
                self._screen.print(Text(answer, style="bold"))

    def _bar(self) -> str:
        lines = status_lines(self._board)
        for active in self._board.at_work()[-3:]:
            progress = active.progress
            loss = f"{progress.loss:.3f}" if progress and progress.loss is not None else ""
            curve = f"{spark(active.losses)} {loss} {progress.step}/{progress.steps}" if progress else active.speaking
            lines.append(one_line(f"{active.id} {self._board.name(active.id)} {active.stage} {curve}", 110))
        state = "PAUSED  " if self._inbox.paused else ""
        return state + "\n".join(f" {line}" for line in lines)
