"""A person at the table: every line is heard or answered, and nothing that is typed can stop the reading."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from move37.agents.events import ApprovalClosed, ApprovalRequested, Event, Spoke, StageStarted
from move37.agents.inbox import Inbox
from move37.app.chat import PipeInput, completions, history, lines_of
from move37.app.live_state import LiveState
from move37.app.orders import (
    HELP,
    LONGEST,
    LOOKUPS,
    VERBS,
    Order,
    OrderContext,
    carry_out,
    control_kind,
    control_text,
    order_of,
    understand,
)
from move37.app.situation import situation
from move37.lab.archive.controls import Control, ControlKind
from move37.lab.errors import ArchiveUnwritable
from move37.lab.records import BITS_PER_BYTE

BUSY = OrderContext(
    speaking=("the Critic of c1-004",), interrupts=True, running=("c1-003", "c1-004"), waiting=("c1-003",)
)


def told(line: str, inbox: Inbox, at: OrderContext = BUSY) -> str:
    return carry_out(understand(line), inbox, at)


def test_a_line_goes_to_the_next_speaker_and_who_speaks_now_is_named() -> None:
    inbox = Inbox()
    said = told("  try a short convolution \n", inbox)
    assert said == (
        "noted: whoever speaks next hears it; the Critic of c1-004 speaks now, /interrupt and it is heard at once"
    )
    assert [said.text for said in inbox.take_lines()] == ["try a short convolution"]


def test_a_line_for_one_agent_waits_for_that_agent() -> None:
    inbox = Inbox()
    assert "the Analyst hears it" in told("/ask analyst why did it fail?", inbox)
    assert not inbox.waiting("Critic") and inbox.take_lines("Critic") == ()
    assert [line.text for line in inbox.take_lines("Analyst")] == ["why did it fail?"]


def test_where_no_language_model_listens_it_says_what_will_be_acted_on_and_what_not() -> None:
    at = OrderContext(search=True, understood=("short_conv", "no rotary"), ignored=("be bold",))
    answer = told("try a short convolution without rope, be bold", Inbox(), at)
    assert "No language model listens" in answer and "short_conv, no rotary" in answer and "'be bold'" in answer
    assert "changes nothing" in told("hello", Inbox(), OrderContext(search=True))
    asked = told("why no short convolution?", Inbox(), OrderContext(search=True, asks=True, ignored=("why",)))
    assert "answers no questions" in asked and "no word" not in asked


def test_before_anybody_speaks_it_says_what_runs_first() -> None:
    assert "the baselines are trained first" in told(
        "hi", Inbox(), OrderContext(busy="the baselines are trained first")
    )


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
    told("/veto c1-004 too much like c1-002", inbox)
    decisions = [inbox.take_decision(), inbox.take_decision()]
    assert [(d.kind, d.experiment, d.reason) for d in decisions if d] == [
        ("approve", "c1-003", ""),
        ("veto", "c1-004", "too much like c1-002"),
    ]
    told("/ban softmax", inbox)
    told("/pin c1-003", inbox)
    assert inbox.directions.banned == ("softmax",) and inbox.directions.pinned == ("c1-003",)
    assert "taken back: /pin c1-003" in told("/undo", inbox)
    told("/stop", inbox)
    assert inbox.stopped


TWO = OrderContext(running=("c1-004", "c1-012"), waiting=("c1-002", "c1-003"), names=("c1-003", "c1-gla", "gla"))


@pytest.mark.parametrize("ident", ["3", "003", "1-3", "c1-3", "C1-003"])
@pytest.mark.parametrize("verb", ["approve", "veto"])
def test_of_two_that_wait_the_one_that_was_named_is_meant_however_it_is_written(verb: str, ident: str) -> None:
    for sent in (lambda line: understand(line), _over_the_wire):
        inbox = Inbox()
        said = carry_out(sent(f"/{verb} {ident}"), inbox, TWO)
        decision = inbox.take_decision()
        assert decision is not None and (decision.kind, decision.experiment) == (verb, "c1-003")
        assert said.startswith("c1-003")


ANSWERS = ("/approve 3", "/veto 3 slow", "/approve", "/veto slow")
ONE = OrderContext(running=("c1-003", "c1-004"), waiting=("c1-003",))


@pytest.mark.parametrize("second", ANSWERS)
@pytest.mark.parametrize("first", ANSWERS)
def test_of_two_answers_in_the_same_moment_one_wins_and_the_other_person_is_told(first: str, second: str) -> None:
    inbox = Inbox()
    won = carry_out(understand(first), inbox, ONE, user="ada")
    late = carry_out(understand(second), inbox, ONE, user="ben")
    decisions = [d for d in (inbox.take_decision(), inbox.take_decision()) if d is not None]
    assert won.startswith("c1-003 goes on" if "approve" in first else "c1-003 is ended")
    assert decisions[0].source == "ada" and {d.experiment for d in decisions} == {"c1-003"}
    assert f"ada {'approved it' if 'approve' in first else 'vetoed it: slow'}" in late
    if (first[:8], second) == ("/approve", "/veto 3 slow"):  # what was let go may still be ended, by its id
        assert late.startswith("c1-003 is ended, though") and decisions[1].kind == "veto"
    else:
        assert len(decisions) == 1


def test_a_word_without_an_id_answers_the_oldest_that_has_no_answer_yet() -> None:
    inbox = Inbox()
    assert [told("/approve", inbox, TWO)[:6] for _ in range(2)] == ["c1-002", "c1-003"]
    assert told("/approve", inbox, TWO) == "c1-002 waits no more: person approved it"


def test_who_comes_too_late_hears_how_it_ended() -> None:
    board = LiveState(BITS_PER_BYTE)
    board.see(ApprovalRequested(experiment="c1-001", kind="hypothesis", text="a floor"))
    board.see(ApprovalClosed(experiment="c1-001", answer="ada vetoed it: too dear"))
    at = situation(board, understand("/approve 1"), search=False, task="mixers")
    for line in ("/approve c1-001", "/veto c1-001 no"):
        inbox = Inbox()
        assert "ada vetoed it: too dear" in told(line, inbox, at) and inbox.take_decision() is None


def _over_the_wire(line: str) -> Order:
    order = understand(line)
    kind = control_kind(order)
    assert kind is not None
    return order_of(
        Control(
            id=1,
            campaign=1,
            at="",
            user="ada",
            kind=kind,
            experiment=order.experiment or None,
            text=control_text(order),
        )
    )


def test_what_is_pinned_or_banned_is_an_id_however_it_is_written() -> None:
    inbox = Inbox()
    for line in ("/pin 3", "/ban C1-GLA", "/ban softmax"):
        carry_out(understand(line), inbox, TWO)
    assert inbox.directions.pinned == ("c1-003",) and set(inbox.directions.banned) == {"c1-gla", "softmax"}


@pytest.mark.parametrize(
    ("line", "at", "says"),
    [
        ("/approve 9", TWO, "9 does not wait; these do: c1-002, c1-003"),
        ("/veto 9 slow", TWO, "9 neither waits nor runs"),
        ("/approve all", TWO, "say which, /approve ID: c1-002, c1-003 wait"),
        ("/approve", OrderContext(), "nothing waits"),
        ("/approve c1-009", BUSY, "c1-009 does not wait"),
        ("/veto", OrderContext(), "nothing runs or waits"),
        ("/veto c1-009 no", BUSY, "neither waits nor runs"),
        ("/undo", BUSY, "there is no"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(line: str, at: OrderContext, says: str) -> None:
    inbox = Inbox()
    assert says in told(line, inbox, at)
    assert inbox.take_decision() is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/dance", "/dance is not known"),
        ("/propse floors", "did you mean /propose?"),
        ("/propose", "/propose TEXT"),
        ("/", "not known"),
        ("/ask nobody hello", "AGENT is one of"),
        ("/ask Critic", "AGENT is one of"),
        ("/show", "/show ID"),
        ("/ban", "/ban WORD"),
    ],
)
def test_what_is_not_understood_gets_one_line(line: str, says: str) -> None:
    answer = told(line, Inbox())
    assert says in answer and "\n" not in answer


def test_help_names_every_command_and_each_is_known() -> None:
    answer = told("/help", Inbox())
    assert all(form in answer for form, _ in HELP)
    said = {"budget": "24 time 8h"}
    assert all(not understand(f"/{verb} {said.get(verb, 'Critic c1-001 x')}").problem for verb in VERBS)


@given(st.text(max_size=200))
def test_any_line_is_taken(line: str) -> None:
    order = understand(line)
    carry_out(order, Inbox(), BUSY)
    assert all(c.isprintable() or c == "\t" for c in order.text)


def test_a_line_without_end_is_cut_and_that_is_known() -> None:
    order = understand("x" * 10 * LONGEST)
    assert len(order.text) == LONGEST and order.cut
    assert not understand("x" * LONGEST).cut


def test_lines_that_were_pasted_stay_words() -> None:
    assert understand("try a floor\nunder the decay\r\nand /veto nothing\n").text == (
        "try a floor under the decay  and /veto nothing"
    )


def test_of_a_pasted_megabyte_the_history_keeps_what_was_taken(tmp_path: Path) -> None:
    kept = history(tmp_path / "history")
    kept.append_string("paste me " * 116_000)
    kept.append_string("/status")
    assert (tmp_path / "history").stat().st_size < LONGEST + 200
    assert list(history(tmp_path / "history").load_history_strings()) == ["/status", ("paste me " * 1_000)[:LONGEST]]


def test_a_wish_that_names_nothing_here_is_said_to() -> None:
    at = OrderContext(names=("c1-gla", "gla", "gated_delta"))
    assert "nothing here has that name; families and names are gla, gated_delta)" in told("/ban gale", Inbox(), at)
    assert told("/ban gla", Inbox(), at) == "gla is built on no more, from the next experiment on; /undo takes it back"
    assert told("/pin c1-gla", Inbox(), at).startswith("c1-gla is built on, from the next")


def test_a_line_while_all_wait_for_a_word_says_so() -> None:
    board = LiveState(BITS_PER_BYTE)
    board.see(StageStarted(experiment="c1-001", stage="hypothesis"))
    at = situation(board, understand("be bold"), search=False, task="mixers")
    assert at.speaking == ("the Researcher of c1-001",)
    board.see(ApprovalRequested(experiment="c1-001", kind="hypothesis", text="a floor"))
    at = situation(board, understand("be bold"), search=False, task="mixers")
    assert told("be bold", Inbox(), at) == "noted: whoever speaks next hears it (c1-001 waits for a word first)"


SAID: list[tuple[Event, str]] = [  # lines of one experiment, and whose turn each leaves it to be
    (Spoke(experiment="c1-001", source="Researcher", to="tools", text="check"), "the Researcher of c1-001"),
    (Spoke(experiment="c1-001", source="Researcher", to="Critic", text="a floor"), "the Critic of c1-001"),
    (Spoke(experiment="c1-001", source="Researcher", to="person", text="gladly"), "the Critic of c1-001"),
    (Spoke(experiment="c1-001", source="Critic", to="tools", text="recall"), "the Critic of c1-001"),
    (Spoke(experiment="c1-001", source="ada", to="Critic", text="be kind"), "the Critic of c1-001"),
    (Spoke(experiment="c1-001", source="Critic", to="Lab", text="accepted"), ""),
    (StageStarted(experiment="c1-001", stage="candidate"), "the Engineer of c1-001"),
    (StageStarted(experiment="c1-001", stage="gates"), ""),
    (StageStarted(experiment="c1-001", stage="lm@100"), ""),
    (StageStarted(experiment="c1-001", stage="analysis"), "the Analyst of c1-001"),
]


def test_whose_turn_it_is_is_told_truly_through_tools_answers_and_stages() -> None:
    board = LiveState(BITS_PER_BYTE)
    board.see(StageStarted(experiment="c1-001", stage="hypothesis"))
    for event, turn in SAID:
        board.see(event)
        assert situation(board, understand("hi"), search=False, task="mixers").speaking == ((turn,) if turn else ())


def test_where_two_experiments_talk_both_are_named_and_nobody_is_promised() -> None:
    board = LiveState(BITS_PER_BYTE)
    board.see(StageStarted(experiment="c1-001", stage="analysis"))
    board.see(StageStarted(experiment="c1-002", stage="hypothesis"))
    at = situation(board, understand("be bold"), search=False, task="mixers")
    said = told("be bold", Inbox(), at)
    assert "whoever speaks next hears it; the Analyst of c1-001 and the Researcher of c1-002 speak now" in said
    board.pause(True)
    at = situation(board, understand("be bold"), search=False, task="mixers")
    assert told("be bold", Inbox(), at).endswith("(it is paused, /resume goes on)")


@pytest.mark.parametrize("verb", [v for v in ("say", *VERBS) if v not in LOOKUPS])
def test_every_order_travels_to_another_process_and_arrives_as_it_was(verb: str) -> None:
    order = Order(verb=verb, text="some text", experiment="c1-001", agent="Critic" if verb == "ask" else "")
    kind = control_kind(order)
    assert kind is not None
    control = Control(
        id=1, campaign=1, at="", user="ada", kind=kind, experiment=order.experiment, text=control_text(order)
    )
    arrived = order_of(control)
    assert (arrived.verb, arrived.text, arrived.agent) == (order.verb, order.text, order.agent)


def test_every_kind_of_control_is_an_order_that_something_answers() -> None:
    for kind in ControlKind:
        if kind is not ControlKind.BUDGET:
            control = Control(id=1, campaign=1, at="", user="ada", kind=kind, experiment="c1-003", text="Critic hello")
            assert carry_out(order_of(control), Inbox(), BUSY)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("/pa", ["/pause"]),
        ("/veto c1-0", ["c1-001", "c1-002"]),
        ("/ask An", ["Analyst"]),
        ("/show ", ["c1-001", "c1-002", "c1-gla"]),
        ("/say c1", []),
        ("hello", []),
        ("/veto c1-001 be", []),
    ],
)
def test_commands_agents_and_ids_are_completed(typed: str, offered: list[str]) -> None:
    assert completions(typed, ["c1-001", "c1-002", "c1-gla"]) == offered


def a_pipe(content: bytes) -> int:
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(content)

    threading.Thread(target=write).start()
    return reading


@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), max_size=8))
def test_lines_of_a_pipe_arrive_whole_in_order(lines: list[bytes]) -> None:
    descriptor = a_pipe(b"\n".join(lines))
    found = list(lines_of(descriptor))
    os.close(descriptor)
    assert found == (lines[:-1] if lines and not lines[-1] else lines)


def test_a_pipe_is_read_to_its_end_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = a_pipe(b"first\n/pause\n\xff\xfe second\n/nonsense\n/status\nlast without newline")
    monkeypatch.setattr(sys, "stdin", type("Pipe", (), {"fileno": lambda self: descriptor})())
    inbox, out, done, looked = Inbox(), io.StringIO(), threading.Event(), list[str]()

    def hand_over(order: Order) -> str:
        answer = carry_out(order, inbox, BUSY)
        if order.text.startswith("last"):
            done.set()
        return answer

    with PipeInput(Console(file=out), LiveState(BITS_PER_BYTE), hand_over, lambda order: looked.append(order.verb)):
        assert done.wait(10.0)
    heard = [said.text for said in inbox.take_lines()]
    assert heard == ["first", "\ufffd\ufffd second", "last without newline"]
    assert inbox.paused and not inbox.stopped and looked == ["status"]
    assert "/nonsense is not known" in out.getvalue()


def test_a_line_of_a_pipe_that_could_not_be_passed_on_is_said_and_the_next_one_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    descriptor = a_pipe(b"first\nlast\n")
    monkeypatch.setattr(sys, "stdin", type("Pipe", (), {"fileno": lambda self: descriptor})())
    out, done = io.StringIO(), threading.Event()

    def hand_over(order: Order) -> str:
        if order.text == "first":
            raise ArchiveUnwritable("the disk is full")
        done.set()
        return "noted"

    with PipeInput(Console(file=out), LiveState(BITS_PER_BYTE), hand_over, lambda order: None):
        assert done.wait(10.0)
    assert "not done: the disk is full" in out.getvalue()
