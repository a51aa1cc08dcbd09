"""The campaign's clock counts work, not waiting for a person."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents import campaign
from move37.agents.clock import Clock, Pauses
from move37.agents.context import CampaignContext
from move37.agents.errors import BudgetSpent
from move37.agents.events import Notice
from move37.lab.records import Candidate, Experiment, Role
from move37.lab.tasks.task import Measured, Schedule
from move37.lab.training.schedule import FIRST_FRESH_SEED
from tests.agents.contexts import PATIENCE, TOP, Arithmetic, a_context


class Time:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@given(st.lists(st.tuples(st.sampled_from(["hold", "release", "wait"]), st.integers(1, 50)), max_size=30))
def test_seconds_are_those_in_which_nothing_held_it(moves: list[tuple[str, int]]) -> None:
    time = Time()
    pauses = Pauses(time)
    clock, holders, counted = Clock(before=7.0, pauses=pauses, now=time), 0, 7.0
    for move, seconds in moves:
        if move == "hold":
            pauses.hold()
            holders += 1
        elif move == "release" and holders:
            pauses.release()
            holders -= 1
        time.at += seconds
        counted += 0 if holders else seconds
    assert abs(clock.seconds - counted) < 1e-6


def test_both_ends_stand_still_while_it_is_held() -> None:
    time = Time()
    clock = Clock(soft=60.0, hard=30.0, pauses=(pauses := Pauses(time)), now=time)
    time.at += 10
    with pauses.held():
        time.at += 1000
    assert clock.left == 20.0 and clock.hard_left == 20.0
    time.at += 100
    assert clock.left == clock.hard_left == 0.0


def test_what_stood_still_before_this_clock_began_is_not_taken_off() -> None:
    time = Time()
    pauses = Pauses(time)
    with pauses.held():
        time.at += 50
    clock = Clock(pauses=pauses, now=time)
    time.at += 5
    assert clock.seconds == 5.0


@given(st.floats(1, 1e6), st.floats(1, 1e6))
def test_a_time_that_somebody_named_is_the_one_that_holds(soft: float, hard: float) -> None:
    """`--max-time 90m`, begun with or resumed with, left the quick preset's nine minutes: "`--max-time` gives more"."""
    clock = Clock(soft=soft, hard=hard, now=lambda: 0.0)
    assert clock.left == clock.hard_left == hard
    assert Clock(soft=soft, now=lambda: 0.0).left == soft and Clock(now=lambda: 0.0).left is None


async def test_what_the_time_ends_is_cancelled_and_has_ended() -> None:
    time, ended = Time(), list[str]()
    clock = Clock(soft=10.0, now=time)

    async def work() -> None:
        try:
            time.at += 60.0
            await asyncio.Event().wait()
        finally:
            ended.append("the job")

    with pytest.raises(BudgetSpent, match="time limit of 10 s"):
        await clock.within(work())
    assert ended == ["the job"]
    with pytest.raises(BudgetSpent):
        await clock.within(work())  # nothing begins any more
    assert ended == ["the job"]
    assert await Clock(now=time).within(asyncio.sleep(0, "done")) == "done"


# A machine that becomes busy ----------------------------------------------------------------------------------------


class Busy(Arithmetic):
    """A training that `slow` names takes all the time there is, and never ends; two screening seeds."""

    def __init__(self, time: Time, slow: Callable[..., bool]) -> None:
        super().__init__()
        self.time, self.slow = time, slow

    def schedule(self, preset: str) -> Schedule:
        return replace(super().schedule(preset), screen_seeds=2)

    async def measure(self, candidate: Candidate, **how: Any) -> Measured:
        if self.slow(own=candidate.author == "baseline", rung=how["rung"].name, seed=how["seed"], fresh=how["fresh"]):
            self.time.at += 2000.0
            await asyncio.Event().wait()
        return await super().measure(candidate, **how)


def tried(context: CampaignContext) -> list[Experiment]:
    return [e for e in context.archive.experiments() if e.role is Role.CANDIDATE]


TRAININGS: dict[str, tuple[Callable[..., bool], str]] = {
    "a baseline's": (
        lambda own, rung, seed, **_: own and rung == TOP.name and seed == 0,
        "1000 s is reached: what ran",
    ),
    "a candidate's": (lambda own, rung, seed, **_: not own and rung == TOP.name and seed == 0, "stays below lm@200"),
    "a second seed's": (lambda seed, **_: seed == 1, "1000 s is reached: what ran"),
    "the first fresh one": (lambda fresh, **_: fresh, "No time is left for fresh seeds"),
}


@pytest.mark.parametrize(("slow", "says"), TRAININGS.values(), ids=TRAININGS)
async def test_the_time_ends_whatever_trains_above_the_screen_and_more_of_it_finishes_that(
    tmp_path: Path, slow: Callable[..., bool], says: str
) -> None:
    """A quick campaign took 698 s of its 570 on a busy machine: whatever had begun to train was waited for."""
    task = Busy(time := Time(), slow)
    context, events = a_context(tmp_path, task=task, clock=Clock(soft=1000.0, now=time))
    ending = await asyncio.wait_for(campaign.run(context), PATIENCE)
    assert ending.status == "finished" and any(says in e.text for e in events if isinstance(e, Notice))
    assert len(tried(context)) == 4 and all(e.measurements for e in tried(context)), "the screens ended"
    assert not any(m.fresh for e in context.archive.experiments() for m in e.measurements)
    task.slow = lambda **_: False
    again, _ = a_context(
        tmp_path, task=task, archive=context.archive, clock=Clock(before=3000.0, hard=9000.0, now=time)
    )
    await asyncio.wait_for(campaign.run(again), PATIENCE)
    (found,) = [e for e in tried(again) if any(m.fresh for m in e.measurements)]
    assert found.verdict is not None and {c.seeds for c in found.verdict.comparisons} == {3}
    climbed = [e for e in tried(again) if any(m.steps == TOP.steps for m in e.measurements)]
    assert all((e.verdict is not None and e.verdict.comparisons == ()) or e is found for e in climbed)
    assert all("verdict:climb" in {r.stage for r in e.stages} for e in climbed)


async def test_fresh_seeds_that_were_trained_in_time_decide_and_later_ones_do_not(tmp_path: Path) -> None:
    """Two of three: the rivals have the third, and a seed that the candidate alone lacks decides nothing."""
    late = FIRST_FRESH_SEED + 2
    task = Busy(time := Time(), lambda own, seed, **_: not own and seed == late)
    context, _ = a_context(tmp_path, task=task, clock=Clock(soft=1000.0, now=time))
    await asyncio.wait_for(campaign.run(context), PATIENCE)
    (found,) = [e for e in tried(context) if any(m.fresh for m in e.measurements)]
    assert any(m.seed == late for e in context.archive.experiments() for m in e.measurements)
    assert found.verdict is not None and found.verdict.low is not None
    assert {c.seeds for c in found.verdict.comparisons} == {2} and "Only 2 of 3 fresh seeds" in found.verdict.text
    task.slow = lambda **_: False
    task.measured.clear()
    again, _ = a_context(
        tmp_path, task=task, archive=context.archive, clock=Clock(before=3000.0, hard=9000.0, now=time)
    )
    await asyncio.wait_for(campaign.run(again), PATIENCE)
    assert task.measured == [] and again.archive.experiment(found.id).verdict == found.verdict
