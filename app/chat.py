"""The user's input during a campaign: lines and slash commands, read without ever blocking the agents.

`Prompt` reads from a terminal (prompt_toolkit in an event loop of its own process, which need not be the
campaign's); `PipeInput` reads lines from a stdin that is no terminal, in a thread, and the end of the pipe ends
nothing. The language is `app/orders.py`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from move37.agents.events import ApprovalRequested, Event
from move37.app.display import Plain, status_lines
from move37.app.live_state import LiveState
from move37.app.orders import AGENTS, LONGEST, LOOKUPS, VERBS, Order, understand
from move37.app.text import harmless, one_line, spark
from move37.lab.errors import LabError

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completion
    from prompt_toolkit.document import Document

Send = Callable[[Order], Awaitable[str]]  # hands an order to the campaign; what the user is told
LookUp = Callable[[Order], None]
CUT = f"that was long: its first {LONGEST:,} characters are taken, the rest is not"
ROWS = 4  # of one line of the bar
_TAKES_ID = ("approve", "veto", "show", "diff", "why", "pin", "ban")


class PipeInput(Plain):
    """Input from a stdin that is no terminal: events as plain lines, answers between them."""

    def __init__(self, screen: Console, board: LiveState, told: Callable[[Order], str], look_up: LookUp) -> None:
        super().__init__(screen, board)
        self._told = told
        self._look_up = look_up

    def __enter__(self) -> Self:
        super().__enter__()
        threading.Thread(target=self._read, args=(sys.stdin.fileno(),), daemon=True, name="chat-input").start()
        return self

    def _read(self, descriptor: int) -> None:
        # The descriptor itself: a thread that waits inside a buffered reader aborts the interpreter when it ends.
        for raw in lines_of(descriptor):
            order = understand(raw.decode("utf-8", errors="replace"))
            if order.cut:
                self._screen.print(Text(CUT, style="bold"), soft_wrap=True)
            if order.verb in LOOKUPS:
                self._look_up(order)
                continue
            try:
                answer = self._told(order)
            except LabError as error:  # the next line may come through
                answer = not_done(error)
            if answer:
                self._screen.print(Text(harmless(answer), style="bold"), soft_wrap=True)


def lines_of(descriptor: int) -> Iterator[bytes]:
    """Lines as they arrive, the last one with or without its end; a line without end is cut at its limit."""
    waiting = b""
    while chunk := os.read(descriptor, 65_536):
        *whole, waiting = (waiting + chunk).split(b"\n")
        yield from whole
        if len(waiting) > 4 * LONGEST:
            yield waiting[: 4 * LONGEST]
            waiting = b""
    if waiting:
        yield waiting


class Prompt:
    """Input at a terminal: a line to type on, with what runs now in the bar below it and everything else above."""

    def __init__(
        self,
        screen: Console,
        board: LiveState,
        *,
        send: Send,
        look_up: LookUp,
        on_interrupt: Callable[[], None],
        history: Path | None = None,
    ) -> None:
        self._screen = screen
        self._board = board
        self._send = send
        self._look_up = look_up
        self._on_interrupt = on_interrupt
        self._history = history
        self._task: asyncio.Task[None] | None = None
        self.left = asyncio.Event()  # the user has left
        self._typed = ""  # what could not be passed on stands at the prompt again

    def __enter__(self) -> Self:
        from prompt_toolkit.patch_stdout import patch_stdout

        self._patch = patch_stdout(raw=True)
        self._patch.__enter__()
        self._screen.file = sys.stdout  # the patched one, which draws above the prompt
        self.say("Type at any moment; /help lists what else you can do. Ctrl-D leaves, the campaign goes on.", "dim")
        self._task = asyncio.get_running_loop().create_task(self._read())
        self._task.add_done_callback(lambda _: self.left.set())  # nothing typed is heard any more
        return self

    async def close(self) -> None:
        """Take the line and the bar off the screen: what is printed next begins on a clean one."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            if not self._task.cancelled() and (error := self._task.exception()):
                raise error

    def __exit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
        self._patch.__exit__(None, None, None)
        self._screen.file = sys.__stdout__ or sys.stdout

    def __call__(self, event: Event) -> None:
        """Print the event's line above the prompt; code that waits for a word as code."""
        text = self._board.see(event)
        if text is not None:
            self._screen.print(text)
        if isinstance(event, ApprovalRequested) and event.kind == "code":
            code = harmless(event.text)
            self._screen.print(Syntax(code, "python", theme="ansi_dark", background_color="default", word_wrap=True))

    def say(self, text: str, style: str = "bold") -> None:
        """One answer above the prompt."""
        self._screen.print(Text(harmless(text), style=style))

    async def _read(self) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.formatted_text import FormattedText

        session: PromptSession[str] = PromptSession(
            completer=completer(self._board),
            complete_while_typing=False,
            reserve_space_for_menu=0,
            history=history(self._history),
            bottom_toolbar=lambda: FormattedText([("", self._bar())]),
        )
        while True:
            try:
                default, self._typed = self._typed, ""
                line = await session.prompt_async("you: ", default=default, refresh_interval=0.5, handle_sigint=False)
            except KeyboardInterrupt:
                # The prompt holds the terminal in raw mode, so that Ctrl-C arrives as a key and not as a signal.
                try:
                    self._on_interrupt()
                except LabError as error:
                    self.say(not_done(error))
                continue
            except EOFError:
                self.left.set()
                return
            try:
                await self._answer(understand(line))
            except LabError as error:  # as of a full disk: the line is kept, and Return tries again
                self.say(not_done(error))
                self._typed = line

    async def _answer(self, order: Order) -> None:
        if order.cut:
            self.say(CUT)
        if order.verb in LOOKUPS:
            self._look_up(order)
        elif answer := order.problem or (await self._send(order) if order.verb else ""):
            self.say(answer)

    def _bar(self) -> str:
        width = max(20, self._screen.width - 2)
        lines = status_lines(self._board)
        for active in self._board.at_work_unasked()[-3:]:
            progress = active.progress
            loss = f"{progress.loss:.3f}" if progress and progress.loss is not None else ""
            curve = f"{spark(active.losses)} {loss} {progress.step}/{progress.steps}" if progress else active.speaking
            lines.append(one_line(f"{active.id} {active.stage} {curve} {self._board.name(active.id)}", width))
        return "\n".join(f" {row}" for line in lines for row in rows(line, width))


def not_done(error: LabError) -> str:
    """What is said about an order that could not be passed on."""
    return f"not done: {error}"


def rows(line: str, width: int) -> list[str]:
    """A line of the bar on as many rows as its numbers and ids need, `ROWS` at most. Pure."""
    found = textwrap.wrap(one_line(line), width)
    return found if len(found) <= ROWS else [*found[: ROWS - 1], one_line(" ".join(found[ROWS - 1 :]), width)]


def completions(text: str, idents: Iterable[str]) -> list[str]:
    """What may stand where the cursor is: commands, agents, ids. Pure."""
    if not text.startswith("/"):
        return []
    verb, blank, rest = text[1:].partition(" ")
    if not blank:
        return [f"/{v}" for v in VERBS if v.startswith(verb.lower())]
    if " " in rest:
        return []
    if verb.lower() == "ask":
        return [a for a in AGENTS if a.lower().startswith(rest.lower())]
    return [i for i in idents if i.startswith(rest)] if verb.lower() in _TAKES_ID else []


def history(path: Path | None) -> Any:
    """What was typed here before; of a line that was cut, what was taken."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    if path is None:
        return InMemoryHistory()

    class _History(FileHistory):
        def append_string(self, string: str) -> None:
            with suppress(OSError):  # a full disk costs the history, and not the line
                super().append_string(string[:LONGEST])

    return _History(str(path))


def completer(board: LiveState) -> Any:
    """The same for prompt_toolkit."""
    from prompt_toolkit.completion import Completer, Completion

    class _Completer(Completer):
        def get_completions(self, document: Document, complete_event: object) -> Iterator[Completion]:
            text = document.text_before_cursor
            last = len(text) - (text.rfind(" ") + 1)
            for word in completions(text, sorted(board.experiments)):
                yield Completion(word, start_position=-last)

    return _Completer()
