"""A person at the table: every line is heard or answered, and nothing that is typed can stop the reading."""

from __future__ import annotations

import io
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from move37.agents.inbox import Inbox
from move37.app.board import Board
from move37.app.chat import HELP, LONGEST, Seat, carry_out, understand
from move37.lab.records import BITS_PER_BYTE


def told(line: str, inbox: Inbox) -> str:
    return carry_out(understand(line), inbox)


def test_a_line_goes_to_the_next_speaker() -> None:
    inbox = Inbox()
    assert "next speaker" in told("  try a short convolution \n", inbox)
    assert [said.text for said in inbox.take_lines()] == ["try a short convolution"]


def test_every_command_of_the_help_is_carried_out() -> None:
    inbox = Inbox()
    for form, _ in HELP[1:]:
        assert told(form, inbox) != "" and "not known" not in told(form, inbox)
    assert inbox.stopped


def test_commands_reach_the_inbox() -> None:
    inbox = Inbox()
    told("/pause", inbox)
    assert inbox.paused
    told("/RESUME", inbox)
    assert not inbox.paused
    told("/propose two decays a head", inbox)
    proposal = inbox.take_proposal()
    assert proposal is not None and proposal.text == "two decays a head"
    told("/approve", inbox)
    told("/veto too much like c1-003", inbox)
    decisions = [inbox.take_decision(), inbox.take_decision()]
    assert [(d.kind, d.reason) for d in decisions if d] == [("approve", ""), ("veto", "too much like c1-003")]


@pytest.mark.parametrize(
    ("line", "says"), [("/dance", "/dance is not known"), ("/propose", "/propose TEXT"), ("/", "not known")]
)
def test_what_is_not_understood_gets_one_line(line: str, says: str) -> None:
    answer = told(line, Inbox())
    assert says in answer and "\n" not in answer


def test_help_names_every_command() -> None:
    answer = told("/help", Inbox())
    assert all(form in answer for form, _ in HELP)


@given(st.text(max_size=200))
def test_any_line_is_taken(line: str) -> None:
    inbox = Inbox()
    order = understand(line)
    carry_out(order, inbox)
    assert all(c.isprintable() or c == "\t" for c in order.text)


def test_a_line_without_end_is_cut() -> None:
    assert len(understand("x" * 10 * LONGEST).text) == LONGEST


def test_a_pipe_is_read_to_its_end_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe:
        buffer = io.BytesIO(b"first\n/pause\n\xff\xfe second\n/nonsense\nlast without newline")

    monkeypatch.setattr(sys, "stdin", Pipe())
    inbox, out = Inbox(), io.StringIO()
    with Seat(Console(file=out), Board(BITS_PER_BYTE), inbox):
        heard: list[str] = []
        deadline = time.monotonic() + 5.0
        while len(heard) < 3 and time.monotonic() < deadline:
            heard += [said.text for said in inbox.take_lines()]
            time.sleep(0.01)
    assert heard == ["first", "\ufffd\ufffd second", "last without newline"]
    assert inbox.paused and not inbox.stopped
    assert "/nonsense is not known" in out.getvalue()
