"""The terminal while a campaign runs: what was said scrolls by, what runs now stands below it.

`choose` gives `Live` on a terminal and `Plain` everywhere else. Both are called with events, from any thread, and never
raise because of what an event says: foreign text is made harmless and is never read as markup.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from move37.agents.events import Event
from move37.app.formatters import PHASES, budget_text
from move37.app.live_state import Active, LiveState
from move37.app.tables import gate_sign
from move37.app.text import one_line, spark
from move37.app.views.words import direction
from move37.lab.numbers import DigitScale

ROWS = 6  # experiments at work that are shown
SILENCE = 20.0  # seconds without a line, after which a plain log says what is trained
THOUGHT = 60.0  # and who is waited for


class Display(Protocol):
    """Whoever watches."""

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def choose(screen: Console, board: LiveState) -> Display:
    """Live on a terminal, plain lines otherwise."""
    return Live(screen, board) if screen.is_terminal else Plain(screen, board)


class Plain:
    """One line an event, with the seconds since the start."""

    def __init__(self, screen: Console, board: LiveState) -> None:
        self._screen = screen
        self._board = board
        self._began = self._last = time.monotonic()
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._tell_of_silence, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()

    def __call__(self, event: Event) -> None:
        """Print the event's line, if it is worth one."""
        text = self._board.see(event)
        if text is not None:
            self._print(text)

    def _print(self, text: Text, *, after: float = 0.0) -> None:
        """With the seconds since the start; only where nothing was printed for `after` seconds."""
        with self._lock:
            now = time.monotonic()
            if now - self._last >= after and not (after and self._ended.is_set()):
                self._last = now
                clock = Text(f"{now - self._began:6.0f} s  ", style="dim")
                self._screen.print(Text.assemble(clock, text), soft_wrap=True)

    def _tell_of_silence(self) -> None:
        """What runs, when nothing was said for a while: a training, or a model that thinks for minutes."""
        while not self._ended.wait(1.0):
            for text, after in ((trained(self._board), SILENCE), (thinking(self._board), THOUGHT)):
                if text:
                    with suppress(OSError):  # nobody reads any more: the next event says so, in its own place
                        self._print(Text(f"… {text}", style="dim"), after=after)


class Live:
    """Lines scroll above a panel that is drawn four times a second."""

    def __init__(self, screen: Console, board: LiveState) -> None:
        self._screen = screen
        self._board = board
        self._live = RichLive(
            console=screen,
            get_renderable=lambda: panel(board, screen.width),
            refresh_per_second=4,
            transient=True,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        """Scroll the event's line, and let the next drawing show the rest."""
        text = self._board.see(event)
        if text is not None:
            self._screen.print(text)


def trained(board: LiveState) -> str:
    """The trainings that run now, in one line; empty where there are none."""
    moving = [(a.id, a.progress) for a in board.at_work() if a.progress is not None]
    words = [f"{ident} {p.step}/{p.steps}{'' if p.loss is None else f' at {p.loss:.2f}'}" for ident, p in moving]
    return one_line(f"training: {', '.join(words[-ROWS:])}") if words else ""


def thinking(board: LiveState) -> str:
    """Whose words are waited for, in one line; empty where nobody's are."""
    turns = [f"the {active.turn} of {active.id}" for active in board.at_work_unasked() if active.turn]
    return one_line(f"waiting for {', '.join(turns[-ROWS:])}") if turns and not board.paused else ""


def panel(board: LiveState, width: int) -> RenderableType:
    """What runs now, the best so far, and what is left: at most ten lines."""
    parts: list[RenderableType] = [Text("─" * width, style="dim")]
    running = board.at_work_unasked()
    if running:
        parts.append(_running(board, running))
    parts += [Text(line) for line in status_lines(board)]
    return Group(*parts)


def status_lines(board: LiveState) -> list[str]:
    """Best so far against the best baseline, and the budget; plain text, so that a toolbar can show it too."""
    lines = []
    said = [
        f"best {role.value} {one_line(e.name or e.id, 40)} {value} {where}" for role, e, value, where in board.leaders()
    ]
    if said:
        lines.append(f"{' · '.join(said)}, {direction(board.metric)}")
    budget = board.budget_now()
    if budget is not None:
        doing_now = "PAUSED, /resume goes on" if board.paused else PHASES.get(board.phase, board.phase)
        lines.append(f"{doing_now}: {budget_text(budget)}")
    lines += [f"{ident} waits: /approve {ident} or /veto {ident} REASON" for ident in board.waiting]
    return lines or ["starting"]


def _running(board: LiveState, running: list[Active]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, max_width=34, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for active in running[-ROWS:]:
        name = one_line(board.name(active.id), 34)
        table.add_row(
            Text(active.id, style="bold"), Text(name, style="cyan"), Text(one_line(active.stage, 24)), doing(active)
        )
    if len(running) > ROWS:
        table.add_row(Text(f"and {len(running) - ROWS} more", style="dim"))
    return table


def doing(active: Active) -> Text:
    """A training's curve, the gates so far, or whose turn it is."""
    progress = active.progress
    if progress is not None:
        loss = f" {DigitScale.of([progress.loss]).text(progress.loss)}" if progress.loss is not None else ""
        place = f" step {progress.step} of {progress.steps}, seed {progress.seed}"
        return Text.assemble((spark(active.losses), "green"), (loss, "bold"), (place, "dim"))
    if active.stage == "gates" and active.gates:
        signs = Text("").join(gate_sign(g) for g in active.gates)
        return Text.assemble(signs, (f" {one_line(active.gates[-1].name, 20)}", "dim"))
    return Text(f"{one_line(active.speaking, 20)} speaks next" if active.speaking else "", style="dim")
