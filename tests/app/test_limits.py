"""/budget: what is read, what is refused with one sentence, and what the campaign is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.budget import BudgetChange, Expenses
from move37.agents.inbox import Inbox
from move37.app.limits import change_of, spelled
from move37.app.orders import OrderContext, carry_out, control_kind, control_text, order_of, understand
from move37.app.page.limits import order_text
from move37.lab.archive.controls import Control, ControlKind


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("24", BudgetChange(candidates=24)),
        ("time 8h", BudgetChange(seconds=28800.0)),
        ("24 time 1h30m tokens 2m cost $5", BudgetChange(candidates=24, seconds=5400.0, tokens=2_000_000, cost=5.0)),
        ("COST 2.50", BudgetChange(cost=2.5)),
    ],
)
def test_limits_are_read_as_people_write_them(text: str, means: BudgetChange) -> None:
    assert change_of(text) == means


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "say which limit"),
        ("24 time", "say which limit"),
        ("time 8", "say the unit"),
        ("lots", "whole number"),
        ("rain 5", "say which limit"),
        ("time 8h rain 5", "rain is no limit"),
        ("0", "a limit of nothing"),
        ("1000000000000", "at most 100000 candidates"),
        ("time 400d", "at most 8784 h"),
        ("tokens 0", "a limit of nothing"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(text: str, says: str) -> None:
    answer = understand(f"/budget {text}").problem
    assert says in answer and "\n" not in answer


@given(st.text(max_size=60))
def test_nothing_that_is_typed_breaks_it(text: str) -> None:
    inbox = Inbox()
    order = understand(f"/budget {text}")
    assert order.problem or carry_out(order, inbox)


@pytest.mark.parametrize("name", ["candidates", "time", "tokens", "cost"])
@pytest.mark.parametrize("digits", [20, 400, 5_000])
def test_a_number_beyond_reason_is_refused_and_changes_nothing(name: str, digits: int) -> None:
    """A limit of 400 digits was set, and the words about it ended whoever heard orders."""
    inbox = Inbox()
    order = understand(f"/budget {name} {'9' * digits}{'d' if name == 'time' else ''}")
    assert order.verb != "budget" and order.problem and "\n" not in order.problem and "limit (" not in order.problem
    came = Control(
        id=1, campaign=1, at="", user="ada", kind=ControlKind.BUDGET, experiment=None, text=f"cost {'9' * digits}"
    )
    assert carry_out(order_of(came), inbox) and inbox.take_budget_change() is None


def test_from_another_process_it_is_the_same_order() -> None:
    order = understand("/budget 24 time 8h")
    assert control_kind(order) is ControlKind.BUDGET
    came = Control(
        id=1, campaign=1, at="", user="anna", kind=ControlKind.BUDGET, experiment=None, text=control_text(order)
    )
    inbox = Inbox()
    at = OrderContext(begun=3, spent=Expenses(seconds=60.0))
    assert carry_out(order_of(came), inbox, at) == "from now on, all sessions together: 24 candidates, 8 h 00 min"
    assert inbox.take_budget_change() == BudgetChange(candidates=24, seconds=28800.0)
    used = carry_out(understand("/budget 2"), inbox, at)
    assert "3 candidates have begun" in used and inbox.take_budget_change() is None


def test_the_pages_form_is_the_same_text() -> None:
    filled = {"candidates": "24", "time": "1h 30m", "tokens": "", "cost": None}
    assert order_text(filled) == "candidates 24 time 1h30m"
    assert spelled(change_of(order_text(filled))) == "24 candidates, 1 h 30 min"
