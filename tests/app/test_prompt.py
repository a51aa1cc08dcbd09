"""The chair at a terminal: keys as a terminal sends them, and what is left on the screen when it is left."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output
from rich.console import Console

from move37.agents.events import ApprovalRequested
from move37.app.chat import CUT, ROWS, Prompt, rows
from move37.app.live_state import LiveState
from move37.app.orders import LONGEST, Order, understand
from move37.lab.errors import ArchiveUnwritable
from move37.lab.records import BITS_PER_BYTE

PATIENCE = 120.0  # seconds


class Terminal(Vt100_Output):
    """One that says where its cursor is when it is asked: only then is the bar drawn."""

    def __init__(self, keys: PipeInput, shown: io.StringIO) -> None:
        super().__init__(shown, lambda: Size(rows=40, columns=60), term="xterm")  # type: ignore[arg-type]
        self._keys = keys

    @property
    def responds_to_cpr(self) -> bool:
        return True

    def ask_for_cpr(self) -> None:
        self._keys.send_text("\x1b[20;1R")


class Screen(io.StringIO):
    """What was drawn, and an event for what is to be drawn."""

    def shown(self, text: str) -> asyncio.Event:
        """Set when that text was drawn."""
        self._awaited, self._event = text, asyncio.Event()
        self.write("")
        return self._event

    def write(self, text: str, /) -> int:
        written = super().write(text)
        if self._awaited and self._awaited in self.getvalue():
            self._event.set()
        return written

    _awaited = ""


class Chair:
    """A prompt on a terminal of 60 columns, and what came of what was typed."""

    def __init__(self, keys: PipeInput, history: Path) -> None:
        self.keys = keys
        self.screen = Screen()
        self.orders: asyncio.Queue[Order] = asyncio.Queue()
        self.interrupted = asyncio.Event()
        self.broken: Exception | None = None  # raised by whatever an order is passed on with
        self.output = Terminal(keys, self.screen)
        board = LiveState(BITS_PER_BYTE)
        board.see(ApprovalRequested(experiment="c1-003", kind="hypothesis", text="a floor"))
        self.prompt = Prompt(
            Console(width=60, color_system=None),
            board,
            send=self._send,
            look_up=self.orders.put_nowait,
            on_interrupt=self._interrupt,
            history=history,
        )

    async def _send(self, order: Order) -> str:
        await self.orders.put(order)
        if self.broken is not None:
            raise self.broken
        return "noted"

    def _interrupt(self) -> None:
        self.interrupted.set()
        if self.broken is not None:
            raise self.broken

    async def typed(self, text: str) -> Order:
        self.keys.send_text(text + "\r")
        return await asyncio.wait_for(self.orders.get(), PATIENCE)

    async def bar(self) -> None:
        """Returns when the bar is there."""
        await asyncio.wait_for(self.screen.shown("c1-003").wait(), PATIENCE)


@asynccontextmanager
async def a_chair(folder: Path) -> AsyncIterator[Chair]:
    with create_pipe_input() as keys:
        chair = Chair(keys, folder / "history")
        with create_app_session(input=keys, output=chair.output), chair.prompt:
            yield chair


async def test_what_is_typed_reaches_the_campaign_and_what_is_pasted_too_long_is_said(tmp_path: Path) -> None:
    async with a_chair(tmp_path) as chair:
        assert (await chair.typed("schöne Grüße 数字")).text == "schöne Grüße 数字"
        assert (await chair.typed("/veto c1-003 no reason")).experiment == "c1-003"
        assert (await chair.typed("/status")).verb == "status"
        pasted = await chair.typed(f"\x1b[200~one\ntwo {'x' * 2 * LONGEST}\x1b[201~")
        assert pasted.text.startswith("one two xxx") and len(pasted.text) == LONGEST
        await chair.typed("/help")  # when it is read, the answer before it was given
        await chair.prompt.close()
    assert CUT[:40] in chair.screen.getvalue()
    assert (tmp_path / "history").stat().st_size < LONGEST + 500


@pytest.mark.parametrize("typed", ["try a floor", "/veto c1-003 too dear", "/stop"])
async def test_a_line_that_could_not_be_passed_on_is_said_and_stands_there_again(tmp_path: Path, typed: str) -> None:
    """As on a full disk: the order's row cannot be written."""
    async with a_chair(tmp_path) as chair:
        chair.broken = ArchiveUnwritable("archive.sqlite cannot be written (disk is full)")
        chair.keys.send_text("\x03")  # not passed on either, and the prompt goes on
        drawn = chair.screen.shown("not done: archive.sqlite cannot be written")
        await asyncio.wait_for(drawn.wait(), PATIENCE)
        first = await chair.typed(typed)
        chair.broken = None
        second = await chair.typed("")  # Return alone
        assert first == second == understand(typed) and not chair.prompt.left.is_set()
        await chair.prompt.close()


async def test_a_fault_of_the_prompt_itself_ends_the_watching_and_is_heard_of(tmp_path: Path) -> None:
    async with a_chair(tmp_path) as chair:
        chair.broken = ZeroDivisionError("a fault")
        await chair.typed("hello")
        await asyncio.wait_for(chair.prompt.left.wait(), PATIENCE)
        with pytest.raises(ZeroDivisionError):
            await chair.prompt.close()


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=300), st.integers(20, 120))
def test_the_bar_is_as_wide_as_the_terminal_and_no_more_than_a_few_rows_a_line(text: str, width: int) -> None:
    found = rows(text, width)
    assert len(found) <= ROWS and all(len(row) <= width for row in found)


@pytest.mark.parametrize("width", [38, 58, 78])
def test_what_waits_can_be_read_whole_at_forty_columns(width: int) -> None:
    line = "c1-001 waits: /approve c1-001 or /veto c1-001 REASON"
    best = "best candidate gated_delta_net_with_floor 2.5102 after 500 steps, screened · best baseline mamba2 2.5253"
    for text in (line, best):
        assert " ".join(rows(text, width)) == text


async def test_ctrl_c_interrupts_ctrl_d_leaves_and_the_bar_is_gone(tmp_path: Path) -> None:
    async with a_chair(tmp_path) as chair:
        chair.keys.send_text("\x03")
        await asyncio.wait_for(chair.interrupted.wait(), PATIENCE)
        assert not chair.prompt.left.is_set()
        await chair.bar()
        chair.keys.send_text("\x04")
        await asyncio.wait_for(chair.prompt.left.wait(), PATIENCE)
        await chair.prompt.close()
    assert_clean(chair)


async def test_where_the_campaign_ends_first_the_bar_is_gone_before_the_leaderboard(tmp_path: Path) -> None:
    async with a_chair(tmp_path) as chair:
        await chair.typed("hello")
        await chair.bar()
        await chair.prompt.close()
    assert_clean(chair)


def assert_clean(chair: Chair) -> None:
    """Below the last line nothing of the bar is left: it was erased after it was drawn last."""
    shown = chair.screen.getvalue()
    assert shown.rfind("\x1b[J") > shown.rfind("c1-003") > 0
