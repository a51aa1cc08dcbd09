"""Tuning a family: the lab's own is always a trial, nothing is trained twice, and the best at the top counts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from move37.agents.tuning import RATES, tune
from move37.lab.measuring import MeasuringContext
from move37.lab.records import Candidate
from move37.lab.standings import Standings
from move37.lab.tasks.task import Rung
from tests.lab.arithmetic import TOP, ArithmeticTask

OWN = Candidate(source="class Mixer: own gla", author="baseline", family="gla")
SCREEN = Rung(number=2, name="lm@100", steps=100)


def a_context(home: Path, task: ArithmeticTask) -> MeasuringContext:
    return MeasuringContext(
        task=task, sandbox=None, standings=Standings(home / "s.jsonl"), workdir=home, places=asyncio.Semaphore(2)  # type: ignore[arg-type]
    )  # fmt: skip


async def test_the_labs_own_is_tried_at_every_rate_and_a_better_variant_wins(tmp_path: Path) -> None:
    task = ArithmeticTask(lambda source, rung, seed: 2.5 - 0.1 * ("residual" in source) - rung.steps / 5000)
    tuned = await tune(a_context(tmp_path, task), "gla", OWN, screen=SCREEN, top=TOP, trials=20)
    assert sum(source == OWN.source for source, steps, _ in task.measured if steps == 100) >= len(RATES)
    assert tuned is not None and tuned.value <= 2.4 - 0.1 and tuned.trials == 20
    assert {steps for _, steps, _ in task.measured} == {100, 500}


async def test_a_second_call_trains_nothing_again(tmp_path: Path) -> None:
    task = ArithmeticTask()
    first = await tune(a_context(tmp_path, task), "ssd", OWN, screen=SCREEN, top=TOP, trials=6)
    trained = len(task.measured)
    again = await tune(a_context(tmp_path, task), "ssd", OWN, screen=SCREEN, top=TOP, trials=6)
    assert again == first and len(task.measured) == trained


async def test_where_nothing_can_be_measured_there_is_no_answer(tmp_path: Path) -> None:
    task = ArithmeticTask(lambda source, rung, seed: float("nan"))
    assert await tune(a_context(tmp_path, task), "gla", OWN, screen=SCREEN, top=TOP, trials=4) is None
