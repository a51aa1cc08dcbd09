"""A person is asked where the mode says so, answered by id, and never waited for without end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.approval import (
    ASKED,
    Approvals,
    Approve,
    Doubt,
    Kind,
    is_close,
    is_dear,
    may_ask_again,
    wants,
)
from move37.agents.events import ApprovalRequested, Event, Notice
from move37.agents.inbox import Inbox
from move37.lab.archive.message import Message
from move37.lab.forecasts import chance_of_more
from move37.lab.records import Forecast


class Desk:
    """Approvals with what they told and stored, and a hook for what the person does when asked."""

    def __init__(self, mode: Approve, *, timeout: float | None = 60.0, answer: Callable[[Inbox], None] | None = None):
        self.inbox, self.events, self.lines = Inbox(), list[Event](), list[Message]()
        self._answer = answer
        self.approvals = Approvals(mode, self.inbox, self._on_event, self.lines.append, timeout=timeout)

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        if self._answer is not None and isinstance(event, ApprovalRequested):
            self._answer(self.inbox)


@pytest.mark.parametrize(
    ("mode", "kind", "doubt", "asks"),
    [
        ("never", "hypothesis", "contested", False),
        ("hypotheses", "hypothesis", None, True),
        ("hypotheses", "code", None, False),
        ("code", "code", None, True),
        ("promotions", "promotion", None, True),
        ("promotions", "held_out", "held_out", True),
        ("auto", "hypothesis", None, False),
        ("auto", "hypothesis", "contested", True),
        ("auto", "hypothesis", "close", True),
        ("auto", "promotion", "dear", True),
        ("auto", "held_out", "held_out", True),
    ],
)
def test_each_mode_asks_for_what_it_names(mode: Approve, kind: Kind, doubt: Doubt | None, asks: bool) -> None:
    assert wants(mode, kind, doubt) is asks


normals = st.tuples(st.floats(-1, 1), st.floats(1e-3, 1)).map(
    lambda drawn: Forecast(author="Researcher", effect=drawn[0], low=drawn[0] - drawn[1], high=drawn[0] + drawn[1])
)


@given(normals, normals, st.floats(-1, 1), st.floats(0.01, 100))
def test_a_toss_up_depends_on_the_distance_of_two_forecasts_in_their_own_widths(
    one: Forecast, other: Forecast, shift: float, unit: float
) -> None:
    chance = chance_of_more(one, other)
    assert chance + chance_of_more(other, one) == pytest.approx(1.0)
    assert chance >= 0.5 if other.effect >= one.effect else chance <= 0.5
    moved = [
        replace(f, effect=unit * (f.effect + shift), low=unit * (f.low + shift), high=unit * (f.high + shift))
        for f in (one, other)
    ]
    assert chance_of_more(*moved) == pytest.approx(chance, abs=1e-6)
    assert is_close([one], [one])
    if one.low > other.high:  # where eight of ten outcomes are expected, the two have nothing in common
        assert not is_close([one], [other])


@given(normals, normals, normals)
def test_only_forecasts_of_one_author_are_compared(one: Forecast, other: Forecast, own: Forecast) -> None:
    critics = replace(own, author="Critic")
    assert is_close([one, critics], [other]) is is_close([one], [other])
    assert not is_close([critics], [other]) and not is_close([one], []) and not is_close([], [other])


@given(st.lists(st.booleans(), max_size=60))
def test_of_however_many_toss_ups_one_in_four_is_asked_about_and_the_first_is(close: list[bool]) -> None:
    asked: list[int] = []
    for number, toss_up in enumerate(close, start=1):
        if toss_up and may_ask_again(len(asked), number):
            asked.append(number)
        assert len(asked) <= math.ceil(number / ASKED)
    assert asked[:1] == [n for n, toss_up in enumerate(close, start=1) if toss_up][:1]


def test_a_step_is_dear_above_a_tenth_of_what_is_left() -> None:
    assert is_dear(11.0, 100.0) and not is_dear(9.0, 100.0) and not is_dear(1e9, None)


async def test_what_nobody_answers_goes_on_and_says_so() -> None:
    desk = Desk("code", timeout=0.01)
    assert await desk.approvals.asked("c1-001", "code", "x") == ""
    assert any(isinstance(e, Notice) and "c1-001 goes on" in e.text for e in desk.events)
    assert not desk.approvals.waiting and "Nobody answered" in desk.lines[0].text


@pytest.mark.parametrize("says_something", [False, True])
async def test_whoever_did_nothing_while_one_request_was_open_is_not_waited_for_again(says_something: bool) -> None:
    """Twelve hypotheses of a night were twelve times ten minutes."""
    desk = Desk("hypotheses", timeout=0.05, answer=(lambda inbox: inbox.say("hm")) if says_something else None)

    def asked() -> list[str]:
        return [e.experiment for e in desk.events if isinstance(e, ApprovalRequested)]

    for number in (1, 2, 3):
        assert await desk.approvals.asked(f"c1-00{number}", "hypothesis", "x") == ""
    assert asked() == (["c1-001", "c1-002", "c1-003"] if says_something else ["c1-001"])
    assert len([e for e in desk.events if isinstance(e, Notice) and "goes on" in e.text]) == len(desk.lines) == 3
    desk.inbox.say("I am back")
    assert await desk.approvals.asked("c1-004", "hypothesis", "x") == ""
    assert asked()[-1] == "c1-004"


async def test_two_that_wait_are_answered_by_id_in_any_order() -> None:
    desk = Desk("hypotheses")
    first = asyncio.create_task(desk.approvals.asked("c1-001", "hypothesis", "one"))
    second = asyncio.create_task(desk.approvals.asked("c1-002", "hypothesis", "two"))
    await asyncio.sleep(0)
    assert [r.experiment for r in desk.approvals.waiting] == ["c1-001", "c1-002"]
    desk.inbox.veto("too dear", "c1-002")
    assert await second == "too dear" and not first.done()
    desk.inbox.approve()
    assert await first == ""


async def test_a_word_without_an_id_answers_the_oldest_alone() -> None:
    desk = Desk("hypotheses")
    first = asyncio.create_task(desk.approvals.asked("c1-001", "hypothesis", "one"))
    second = asyncio.create_task(desk.approvals.asked("c1-002", "hypothesis", "two"))
    await asyncio.sleep(0)
    desk.inbox.veto("no")
    assert await first == "no" and not second.done()
    desk.inbox.approve()
    assert await second == ""


async def test_while_it_waits_the_clock_stands_still() -> None:
    held: list[int] = []
    desk = Desk("code", answer=lambda inbox: None)
    task = asyncio.create_task(desk.approvals.asked("c1-001", "code", "x"))
    await asyncio.sleep(0)
    held.append(desk.inbox.pauses._holders)
    desk.inbox.approve()
    await task
    held.append(desk.inbox.pauses._holders)
    assert held == [1, 0]


async def test_a_pause_lets_no_time_of_the_request_pass() -> None:
    desk = Desk("code", timeout=0.02)
    desk.inbox.pause()
    task = asyncio.create_task(desk.approvals.asked("c1-001", "code", "x"))
    done, _ = await asyncio.wait({task}, timeout=0.2)
    assert not done
    desk.inbox.resume()
    assert await task == ""


async def test_a_stop_never_turns_a_request_into_an_answer() -> None:
    desk = Desk("code", timeout=0.01)
    desk.inbox.stop()
    task = asyncio.create_task(desk.approvals.asked("c1-001", "code", "x"))
    done, _ = await asyncio.wait({task}, timeout=0.1)
    assert not done
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
