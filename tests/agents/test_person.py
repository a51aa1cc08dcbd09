"""A person at the campaign: several requests at once, preferences that last, and a stop at the worst moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from move37.agents import campaign
from move37.agents.approval import Approvals
from move37.agents.budget import Budget
from move37.agents.clock import Clock, Pauses
from move37.agents.events import ApprovalRequested
from move37.agents.inbox import Inbox
from move37.lab.records import ExperimentStatus, Role
from tests.agents.contexts import PATIENCE, a_context


def asking(tmp_path: Path, on_request: Any, *, timeout: float | None = 60.0, **changes: Any) -> Any:
    """A campaign that asks before each hypothesis; `on_request(inbox, event)` is what the person does."""
    inbox = Inbox()
    context, events = a_context(tmp_path, inbox=inbox, **changes)

    def heard(event: Any) -> None:
        events.append(event)
        if isinstance(event, ApprovalRequested):
            on_request(inbox, event)

    approvals = Approvals("hypotheses", inbox, heard, lambda line: context.archive.say(1, line), timeout=timeout)
    return replace(context, on_event=heard, approvals=approvals)


def parents_offered(experiment: Any) -> set[str]:
    """The ids that the draw gave; what is built on is the hypothesis' own choice among what is known."""
    (stage,) = [s for s in experiment.stages if s.stage == "parents"]
    return {parent["experiment"] for parent in stage.payload["drawn"]}


def the_candidates(context: Any) -> Any:
    return [e for e in context.archive.experiments() if e.role is Role.CANDIDATE]


async def test_two_requests_are_answered_by_their_ids(tmp_path: Path) -> None:
    waiting: list[str] = []

    def answer(inbox: Inbox, event: ApprovalRequested) -> None:
        waiting.append(event.experiment)
        if len(waiting) == 2:  # both wait: the later one is refused first
            inbox.veto("not this one", waiting[1])
            inbox.approve(waiting[0])

    context = asking(tmp_path, answer, budget=2, workers=2)
    await asyncio.wait_for(campaign.run(context), PATIENCE)
    kept, refused = (context.archive.experiment(ident) for ident in waiting)
    assert kept.measurements and refused.status is ExperimentStatus.REJECTED and "not this one" in refused.reason


async def test_what_a_terminal_could_not_read_of_a_line_leaves_the_rest_of_it_heard(tmp_path: Path) -> None:
    inbox = Inbox()
    inbox.say("mind the \udcff speed", source="Ada")
    inbox.propose("two time\ud83d scales")
    inbox.direct("say", "no softmax \udcff")
    context, _ = a_context(tmp_path, inbox=inbox, budget=1)
    await asyncio.wait_for(campaign.run(context), PATIENCE)
    lines = {m.text for m in context.archive.lines(campaign=1) if m.user}
    assert {"mind the ? speed", "two time? scales"} <= lines
    assert the_candidates(context)[0].measurements and inbox.directions.lines == ("no softmax ?",)
    inbox.veto("no \udcff")
    assert (decision := inbox.take_decision()) is not None and decision.reason == "no ?"


async def test_a_night_without_anybody_goes_on(tmp_path: Path) -> None:
    context = asking(tmp_path, lambda *_: None, timeout=0.01, budget=2)
    result = await asyncio.wait_for(campaign.run(context), PATIENCE)
    assert result.status == "finished" and all(e.measurements for e in the_candidates(context))


async def test_a_stop_while_the_last_experiment_waits_is_a_stop(tmp_path: Path) -> None:
    context = asking(tmp_path, lambda inbox, _: inbox.stop(), budget=1, workers=1)
    result = await asyncio.wait_for(campaign.run(context), PATIENCE)
    assert result.status == "stopped"
    assert [e.status for e in the_candidates(context)] == [ExperimentStatus.RUNNING]  # to be resumed


async def test_nothing_that_waits_becomes_failed_by_the_time_limit(tmp_path: Path) -> None:
    seconds = [0.0]
    pauses = Pauses(now=lambda: seconds[0])

    def later(inbox: Inbox, _: ApprovalRequested) -> None:
        async def after_a_night() -> None:
            while not pauses.seconds:  # the request holds the clock once it waits
                seconds[0] += 30_000.0
                await asyncio.sleep(0)
            inbox.approve()

        nights.append(asyncio.create_task(after_a_night()))

    nights: list[asyncio.Task[None]] = []
    clock = Clock(hard=1.0, pauses=pauses, now=lambda: seconds[0])
    context = asking(tmp_path, later, budget=1, workers=1, clock=clock, spend=Budget(seconds=1.0))
    context.inbox.pauses = pauses
    result = await asyncio.wait_for(campaign.run(context), PATIENCE)
    (only,) = the_candidates(context)
    assert nights and only.measurements and "time limit" not in result.reason


async def test_a_banned_family_is_no_parent_and_a_pinned_one_is(tmp_path: Path) -> None:
    inbox = Inbox()
    inbox.direct("ban", "linear")
    inbox.direct("pin", "gated_delta")
    context, _ = a_context(tmp_path, inbox=inbox, budget=4)
    await campaign.run(context)
    offered = [parents_offered(e) for e in the_candidates(context)]
    assert all("c1-gated_delta" in p and "c1-linear" not in p for p in offered)


async def test_a_wish_lasts_over_a_resume(tmp_path: Path) -> None:
    inbox = Inbox()
    inbox.direct("ban", "linear", "ada")
    inbox.stop()
    context, _ = a_context(tmp_path, inbox=inbox, budget=1)
    await campaign.run(context)
    again, _ = a_context(tmp_path, inbox=(fresh := Inbox()), archive=context.archive)
    await campaign.run(again)
    assert fresh.directions.banned == ("linear",) and fresh.directions.standing[0].user == "ada"
    assert all("c1-linear" not in parents_offered(e) for e in the_candidates(again))
