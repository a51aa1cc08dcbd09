"""What a session that was cut short leaves for the next one: vetoes, limits, the clock, and the user's answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from move37.agents import bookkeeping, campaign
from move37.agents.approval import Approvals
from move37.agents.budget import Budget
from move37.agents.clock import Clock
from move37.agents.context import CampaignContext
from move37.agents.errors import ModelUnavailable
from move37.agents.events import ApprovalRequested, Event, Notice, StageFinished, StageStarted
from move37.agents.inbox import Inbox
from move37.agents.results import CodeResult, GateReport, NegotiationResult, StepResult, TrainingResult
from move37.lab.archive.store import Archive
from move37.lab.records import Experiment, ExperimentStatus, Role
from move37.lab.tasks.task import Measured
from tests.agents.contexts import PATIENCE, SCREEN, TOP, Arithmetic, Remembered, a_context, a_script
from tests.agents.scripted import Scripted, some_code
from tests.builders import a_candidate, a_hypothesis, a_measurement

FIRST = "c1-001"
HOURS = 3600.0


class Ranked(Arithmetic):
    """The first candidate is the best, and fails where `fails` says.

    `held` names whose first training never ends, or the rung at which no candidate's does.
    """

    def __init__(self, *, held: str = "", fails: str = "") -> None:
        super().__init__()
        self.held, self.fails = held, fails

    async def measure(self, candidate: Any, **how: Any) -> Measured:
        measured = await super().measure(candidate, **how)
        if how["experiment"] == self.held:
            self.held = ""
            await asyncio.Event().wait()
        if how["rung"].name == self.held and candidate.author != "baseline":
            await asyncio.Event().wait()
        if how["experiment"] != FIRST:
            return measured
        reached = "fresh" if how["fresh"] else how["rung"].name
        if self.fails == f"{reached} crashes":
            return Measured(measurements=(), failure="the training crashed")
        diverged = self.fails == f"{reached} diverges"
        return replace(
            measured, measurements=tuple(replace(m, value=1.0, diverged=diverged) for m in measured.measurements)
        )


class Held(Scripted):
    """Its first report comes when `let_go` is set."""

    def __init__(self, **answers: Any) -> None:
        super().__init__(**answers)
        self.let_go = asyncio.Event()

    async def create(self, messages: Any, **how: Any) -> Any:
        if how["json_output"].__name__ == "Report":
            await self.let_go.wait()
        return await super().create(messages, **how)


class HeldMemory(Remembered):
    """Its first lesson is never kept."""

    held = True

    async def remember(self, lesson: Any) -> None:
        if self.held:
            self.held = False
            await asyncio.Event().wait()
        await super().remember(lesson)


def hearing(context: CampaignContext, act: Callable[[Event], None]) -> CampaignContext:
    """The same, in which `act` hears every event."""
    heard = context.on_event

    def on_event(event: Event) -> None:
        heard(event)
        act(event)

    return replace(context, on_event=on_event)


async def run(context: CampaignContext) -> Any:
    return await asyncio.wait_for(campaign.run(context), PATIENCE)


def candidates(archive: Archive) -> list[Experiment]:
    return [e for e in archive.experiments() if e.role is Role.CANDIDATE]


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("where", [SCREEN.name, "analysis", "memory"])
async def test_what_is_vetoed_is_explained_and_neither_trained_nor_chosen_any_more(
    tmp_path: Path, where: str, stopped: bool
) -> None:
    task = Ranked(held=FIRST if where == SCREEN.name else "")
    client = Held(**a_script()._answers) if where == "analysis" else a_script()
    memory = HeldMemory() if where == "memory" else Remembered()
    inbox = Inbox()

    def act(event: Event) -> None:
        if event == StageStarted(experiment=FIRST, stage=where):
            inbox.veto("I know that one", FIRST)
        if isinstance(event, Notice) and "is vetoed" in event.text:
            if stopped:
                inbox.stop()
            if isinstance(client, Held):
                client.let_go.set()

    context, _ = a_context(tmp_path, client, task=task, inbox=inbox, memory=memory, budget=2, workers=1)
    ending = await run(hearing(context, act))
    assert ending.status == ("stopped" if stopped else "finished")
    if stopped:
        again, _ = a_context(tmp_path, archive=context.archive, task=task, workers=1)
        assert (await run(again)).status == "finished"
    first, second = candidates(context.archive)
    assert first.status is ExperimentStatus.REJECTED and "I know that one" in first.reason
    assert first.analysis is not None and any(s.stage == "memory" for s in first.stages)
    assert [(rung, seed) for ident, rung, seed in task.measured if ident == FIRST] == [(SCREEN.name, 0)]
    assert any(m.fresh for m in second.measurements), "the other one takes its place"


@pytest.mark.parametrize("fails", [f"{TOP.name} crashes", f"{TOP.name} diverges", "fresh crashes", "fresh diverges"])
async def test_who_failed_above_is_replaced_by_nobody_after_a_stop(tmp_path: Path, fails: str) -> None:
    """What fresh seeds show chooses nobody, and neither does the moment of a stop."""
    whole, cut = Ranked(fails=fails), Ranked(fails=fails)
    context, _ = a_context(tmp_path / "whole", task=whole, budget=4)
    await run(context)
    inbox, failed = Inbox(), list[str]()

    def act(event: Event) -> None:
        if isinstance(event, StageFinished) and event.experiment == FIRST and not failed:
            stages = again.archive.experiment(FIRST).stages
            if context.archive.experiment(FIRST).status is ExperimentStatus.FAILED and stages[-1].stage == TOP.name:
                failed.extend([stages[-1].stage] * (len(stages) >= at))
            if failed:
                inbox.stop()

    measured = [s for s in context.archive.experiment(FIRST).stages if "measurements" in s.payload]
    last = measured[-1] if fails.startswith(TOP.name) else measured[2]  # the failure; the first fresh run
    at = list(context.archive.experiment(FIRST).stages).index(last) + 1
    again, _ = a_context(tmp_path / "cut", task=cut, inbox=inbox, budget=4)
    assert (await run(hearing(again, act))).status == "stopped"
    resumed, _ = a_context(tmp_path / "cut", archive=again.archive, task=cut)
    assert (await run(resumed)).status == "finished"
    assert set(cut.measured) == set(whole.measured)


@pytest.mark.parametrize("held", [FIRST, "c1-linear"])
async def test_what_the_time_limit_ended_goes_on_with_more_time(tmp_path: Path, held: str) -> None:
    task, seconds = Ranked(held=held), [0.0]
    clock = Clock(hard=10.0, now=lambda: seconds[0])
    context, _ = a_context(tmp_path, task=task, spend=Budget(seconds=10.0), clock=clock, budget=2)

    def act(event: Event) -> None:
        if event == StageStarted(experiment=held, stage=SCREEN.name):
            seconds[0] = 11.0

    assert (await run(hearing(context, act))).status == "finished"
    closed = context.archive.experiment(held)
    assert closed.status is ExperimentStatus.FAILED and "not finished" in closed.reason
    before = [s.stage for s in closed.stages]
    again, _ = a_context(tmp_path, archive=context.archive, task=task)
    await run(again)
    gone_on = context.archive.experiment(held)
    assert gone_on.status in (ExperimentStatus.PROMOTED, ExperimentStatus.MEASURED) and not gone_on.reason
    assert [s.stage for s in gone_on.stages][: len(before)] == before
    assert len(candidates(context.archive)) == 2
    assert all(e.measurements for e in context.archive.experiments())


async def test_what_spent_tokens_ended_goes_on_with_more_of_them(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, budget=12, spend=Budget(tokens=70), workers=1)
    await run(context)
    closed = [e.id for e in candidates(context.archive) if e.status is ExperimentStatus.FAILED]
    assert closed
    again, _ = a_context(tmp_path, archive=context.archive)
    await run(again)
    assert all(e.measurements and not e.reason for e in candidates(context.archive))


WRITTEN = a_candidate()
MEASURED = TrainingResult(measurements=(a_measurement(),), rung=2)
GATED = GateReport(candidate=WRITTEN, gates=(), passed=True)


@pytest.mark.parametrize(
    ("stage", "result", "status"),
    [
        ("hypothesis", NegotiationResult(hypothesis=None, accepted=False, malformed=True), ExperimentStatus.FAILED),
        ("candidate", CodeResult(candidate=None), ExperimentStatus.FAILED),
        ("gates", replace(GATED, passed=False), ExperimentStatus.FAILED),
        ("lm@100", replace(MEASURED, failure="it diverged"), ExperimentStatus.FAILED),
        ("hypothesis", NegotiationResult(hypothesis=a_hypothesis(), accepted=True), ExperimentStatus.RUNNING),
        ("candidate", CodeResult(candidate=WRITTEN), ExperimentStatus.RUNNING),
        ("gates", GATED, ExperimentStatus.RUNNING),
        ("lm@100", MEASURED, ExperimentStatus.MEASURED),
        ("lm@200", replace(MEASURED, climbed=True), ExperimentStatus.PROMOTED),
    ],
)
def test_only_what_a_limit_ended_is_reopened(
    tmp_path: Path, stage: str, result: StepResult, status: ExperimentStatus
) -> None:
    context, _ = a_context(tmp_path)
    ident = context.archive.begin_experiment(1, 1, Role.CANDIDATE).id
    bookkeeping.close_unfinished(context, "the time limit of 10 s is reached")
    context.archive.finish_stage(ident, stage, result, **result.changes())
    bookkeeping.reopen_unfinished(context)
    assert context.archive.experiment(ident).status is status


# The clock --------------------------------------------------------------------------------------------------


def stored(context: CampaignContext) -> float:
    return float(context.archive.campaigns()[-1].facts.get("seconds", 0.0))


async def test_the_used_time_is_stored_with_every_stage(tmp_path: Path) -> None:
    seconds, late = [0.0], list[tuple[str, float]]()
    context, _ = a_context(tmp_path, clock=Clock(now=lambda: seconds[0]), budget=2)

    def act(event: Event) -> None:
        if isinstance(event, StageFinished) and not event.restored and stored(context) != seconds[0]:
            late.append((event.stage, seconds[0] - stored(context)))
        seconds[0] += isinstance(event, StageStarted)

    await run(hearing(context, act))
    assert not late and stored(context) == seconds[0] > 10


@pytest.mark.parametrize("raised", [ModelUnavailable("the key is refused"), None])
async def test_what_breaks_or_cancels_a_campaign_takes_none_of_its_time_back(
    tmp_path: Path, raised: Exception | None
) -> None:
    seconds, begun = [0.0], asyncio.Event()
    client = a_script(Report=raised) if raised else a_script(Code=some_code("SLOW = 1  # a Mixer"))
    context, _ = a_context(tmp_path, client, clock=Clock(now=lambda: seconds[0]), budget=1)

    def act(event: Event) -> None:
        if event == StageStarted(experiment=FIRST, stage="analysis" if raised else SCREEN.name):
            seconds[0] = 7 * HOURS
            begun.set()

    running = asyncio.create_task(campaign.run(hearing(context, act)))
    await asyncio.wait_for(begun.wait(), PATIENCE)
    if raised is None:
        running.cancel()
    with pytest.raises(ModelUnavailable if raised else asyncio.CancelledError):
        await asyncio.wait_for(running, PATIENCE)
    assert stored(context) == 7 * HOURS


async def test_a_stage_that_takes_hours_stores_the_time_meanwhile(tmp_path: Path) -> None:
    seconds, begun = [0.0], asyncio.Event()
    client = a_script(Code=some_code("SLOW = 1  # a Mixer"))
    context, _ = a_context(tmp_path, client, clock=Clock(now=lambda: seconds[0]), budget=1)

    def act(event: Event) -> None:
        if event == StageStarted(experiment=FIRST, stage=SCREEN.name):
            seconds[0] = campaign.STORE_EVERY
            begun.set()

    running = asyncio.create_task(campaign.run(hearing(context, act)))
    try:
        await asyncio.wait_for(begun.wait(), PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while stored(context) < campaign.STORE_EVERY:
                await asyncio.sleep(0.05)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


# The user's answers -----------------------------------------------------------------------------------------


def asking(context: CampaignContext, inbox: Inbox, events: list[Event], act: Any = None) -> CampaignContext:
    """With approval of promotions, which nobody but `act` answers."""

    def on_event(event: Event) -> None:
        events.append(event)
        if act is not None:
            act(event)

    store = partial(context.archive.say, 1)
    return replace(context, on_event=on_event, approvals=Approvals("promotions", inbox, on_event, store, timeout=0.01))


def asked(events: list[Event]) -> list[str]:
    return [e.experiment for e in events if isinstance(e, ApprovalRequested)]


@pytest.mark.parametrize("answered", [True, False])
async def test_a_word_on_a_promotion_holds_in_the_next_session_and_silence_is_asked_again(
    tmp_path: Path, answered: bool
) -> None:
    task, inbox = Ranked(held=TOP.name), Inbox()
    context, events = a_context(tmp_path, task=task, inbox=inbox, budget=2)

    def act(event: Event) -> None:
        if answered and isinstance(event, ApprovalRequested):
            (partial(inbox.veto, "not that one") if event.experiment == FIRST else inbox.approve)()
        if isinstance(event, StageStarted) and event.stage == TOP.name and event.experiment in (FIRST, "c1-002"):
            inbox.stop()

    assert (await run(asking(context, inbox, events, act))).status == "stopped"
    assert sorted(asked(events)) == ([FIRST, "c1-002"] if answered else [FIRST])  # who is not there, once
    silent, task.held = Inbox(), ""
    again, later = a_context(tmp_path, archive=context.archive, task=task, inbox=silent)
    await run(asking(again, silent, later))
    assert asked(later) == ([] if answered else [FIRST])
    climbed = {e.id for e in candidates(context.archive) if any(m.steps == TOP.steps for m in e.measurements)}
    assert climbed == ({"c1-002"} if answered else {FIRST, "c1-002"})


async def test_nobody_is_asked_about_a_rung_that_is_trained(tmp_path: Path) -> None:
    context, _ = a_context(tmp_path, budget=2)
    await run(context)
    inbox = Inbox()
    again, events = a_context(tmp_path, archive=context.archive, inbox=inbox)
    await run(asking(again, inbox, events))
    assert not asked(events)
