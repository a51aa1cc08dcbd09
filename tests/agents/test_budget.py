"""A limit is reached when it is used up, to the last token, and no limit is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.budget import Budget, BudgetChange, Expenses, exhausted, refused

LIMITS = ("seconds", "tokens", "cost")
amounts = st.integers(1, 10**9)


@pytest.mark.parametrize("limit", LIMITS)
@given(amount=amounts, spent=amounts)
def test_a_limit_is_reached_when_all_of_it_is_used(limit: str, amount: int, spent: int) -> None:
    used = replace(Expenses(), **{limit: spent})
    assert bool(exhausted(Budget(**{limit: amount}), used)) == (spent >= amount)
    assert not exhausted(Budget(), used)
    others = Budget(**{name: 1 for name in LIMITS if name != limit})
    assert not exhausted(others, used)


@pytest.mark.parametrize("limit", LIMITS)
@given(amount=amounts, spent=amounts)
def test_a_new_limit_has_to_leave_something(limit: str, amount: int, spent: int) -> None:
    """A change that is granted never ends the campaign at once."""
    used = replace(Expenses(), **{limit: spent})
    change = BudgetChange(**{limit: amount})  # type: ignore[arg-type]
    assert bool(refused(change, begun=0, spent=used)) == bool(exhausted(Budget(**{limit: amount}), used))


@given(wanted=st.integers(1, 100), begun=st.integers(0, 100))
def test_the_budget_counts_everybody_who_has_begun(wanted: int, begun: int) -> None:
    assert bool(refused(BudgetChange(candidates=wanted), begun, Expenses())) == (wanted < begun)
