"""Limits that a person changes while the campaign runs hold at once, are stored, and never undercut what is used."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from move37.agents import campaign, promotion
from move37.agents.budget import Budget, BudgetChange, Expenses, refused
from move37.agents.clock import Clock
from move37.agents.events import BudgetUpdated, Event, ExperimentUpdated, Notice
from move37.agents.inbox import Inbox
from move37.lab.records import Role
from tests.agents.contexts import a_context


def when(phase: str, then: Any, inbox: Inbox) -> Any:
    """An `on_event` that changes the budget once, as soon as the campaign enters `phase`."""
    heard: list[Event] = []

    def hear(event: Event) -> None:
        heard.append(event)
        entered = isinstance(event, BudgetUpdated) and event.phase == phase
        if entered and not any(e is then for e in heard):
            heard.append(then)
            inbox.change_budget(then)

    return hear


@pytest.mark.parametrize("phase", ["baselines", "search", "climb", "confirm"])
async def test_more_candidates_are_tried_whenever_they_are_granted(tmp_path: Path, phase: str) -> None:
    inbox = Inbox()
    hear = when(phase, BudgetChange(candidates=5), inbox)
    context, _ = a_context(tmp_path, budget=2, inbox=inbox, on_event=hear)
    ending = await campaign.run(context)
    tried = [e for e in context.archive.experiments() if e.role is Role.CANDIDATE]
    assert [e.number for e in tried] == [1, 2, 3, 4, 5]
    assert ending.status == "finished" and context.archive.campaigns()[0].brief.budget == 5
    assert len({(e.id, s.stage, s.rung, s.seed) for e in tried for s in e.stages}) == sum(len(e.stages) for e in tried)


@pytest.mark.parametrize("phase", ["search", "climb"])
async def test_who_is_granted_before_the_end_of_a_climb_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """A climb takes minutes: a raised budget was heard after it."""
    inbox, promote, climbs = Inbox(), promotion.promote, list[list[str]]()
    hear = when(phase, BudgetChange(candidates=3), inbox)
    context, _ = a_context(tmp_path, budget=2, inbox=inbox, on_event=hear)

    async def slow(campaign: Any, generation: Any, *rest: Any) -> None:
        climbs.append(list(generation))
        async with asyncio.timeout(60):
            while not any(e.id == "c1-003" and e.measurements for e in context.archive.experiments(1)):
                await asyncio.sleep(0.01)
        await promote(campaign, generation, *rest)

    monkeypatch.setattr(promotion, "promote", slow)
    ending = await campaign.run(context)
    assert ending.status == "finished"
    assert climbs == [["c1-001", "c1-002"], ["c1-003"]], "and it climbs afterwards, once"


@pytest.mark.parametrize("phase", ["search", "climb"])
async def test_a_budget_that_was_lowered_and_raised_again_loses_no_candidate(tmp_path: Path, phase: str) -> None:
    """Numbers that were passed over while it was low were never tried again: four of six were all there were."""
    inbox = Inbox()
    hear = when(phase, BudgetChange(candidates=5), inbox)
    context, _ = a_context(tmp_path, budget=4, inbox=inbox, on_event=hear, workers=1)
    inbox.change_budget(BudgetChange(candidates=1))
    await campaign.run(context)
    tried = [e.number for e in context.archive.experiments() if e.role is Role.CANDIDATE]
    assert tried == [1, 2, 3, 4, 5] and context.record.brief.budget == 5


async def test_what_spent_tokens_closed_goes_on_once_there_are_more(tmp_path: Path) -> None:
    """Whoever raised the limit in the session got further candidates, and the closed one at the next resume only."""
    inbox, closed = Inbox(), list[str]()

    def hear(event: Event) -> None:
        if isinstance(event, ExperimentUpdated) and event.experiment.reason.startswith("not finished"):
            closed.append(event.experiment.id)
            inbox.change_budget(BudgetChange(tokens=10**9))

    context, _ = a_context(tmp_path, budget=2, spend=Budget(tokens=1), inbox=inbox, on_event=hear, workers=1)
    ending = await campaign.run(context)
    tried = [e for e in context.archive.experiments() if e.role is Role.CANDIDATE]
    assert closed == ["c1-001"] and ending.status == "finished"
    assert [(e.number, bool(e.measurements)) for e in tried] == [(1, True), (2, True)]
    assert len({(e.id, s.stage, s.rung, s.seed) for e in tried for s in e.stages}) == sum(len(e.stages) for e in tried)


async def test_a_campaign_whose_limit_is_reached_before_it_begins_ends(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, budget=3, spend=Budget(tokens=0))
    async with asyncio.timeout(120):
        await campaign.run(context)
    assert [e for e in context.archive.experiments() if e.role is Role.CANDIDATE] == []


async def test_fewer_end_it_earlier_and_what_has_begun_is_not_undercut(tmp_path: Path) -> None:
    inbox = Inbox()
    inbox.change_budget(BudgetChange(candidates=1))
    context, _ = a_context(tmp_path, budget=4, inbox=inbox, workers=1)
    await campaign.run(context)
    tried = [e for e in context.archive.experiments() if e.role is Role.CANDIDATE]
    assert 1 <= len(tried) <= 4 and context.record.brief.budget in (1, 4)
    again, events = a_context(tmp_path, archive=context.archive, inbox=inbox)
    inbox.change_budget(BudgetChange(candidates=0))
    await campaign.run(again)
    assert any(isinstance(e, Notice) and "stays as it is" in e.text for e in events)
    assert again.record.brief.budget == context.record.brief.budget


async def test_a_limit_that_is_raised_is_the_one_that_holds_and_a_resumed_campaign_has_it(tmp_path: Path) -> None:
    inbox = Inbox()
    inbox.change_budget(BudgetChange(seconds=3600.0, tokens=10**9, cost=500.0))
    context, _ = a_context(tmp_path, budget=2, inbox=inbox, spend=Budget(seconds=600.0, tokens=10**8))
    await campaign.run(context)
    brief = context.archive.campaigns()[0].brief
    assert (brief.max_seconds, brief.max_tokens, brief.max_cost) == (3600.0, 10**9, 500.0)
    assert context.budget == Budget(seconds=3600.0, tokens=10**9, cost=500.0) and context.clock.hard == 3600.0


def test_a_presets_own_end_moves_along() -> None:
    clock = Clock(soft=600.0, hard=700.0, now=lambda: 0.0)
    clock.extend(3600.0)
    assert clock.left == clock.hard_left == 3600.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (BudgetChange(candidates=2), "3 candidates have begun"),
        (BudgetChange(seconds=60.0), "60 s are used"),
        (BudgetChange(tokens=9), "10 tokens are used"),
        (BudgetChange(cost=0.5), "1.00 dollars are used"),
        (BudgetChange(candidates=3, seconds=61.0, tokens=11, cost=1.5), ""),
    ],
)
def test_what_is_used_up_is_refused(change: BudgetChange, says: str) -> None:
    found = refused(change, 3, Expenses(seconds=60.0, tokens=10, cost=1.0))
    assert found.startswith(says) and bool(found) == bool(says)


async def test_the_campaign_listens_while_it_trains(tmp_path: Path) -> None:
    inbox = Inbox()
    context, events = a_context(tmp_path, budget=2, inbox=inbox)
    running = asyncio.create_task(campaign.run(context))
    inbox.change_budget(BudgetChange(candidates=3))
    await running
    assert 3 in [e.budget for e in events if isinstance(e, BudgetUpdated)]
