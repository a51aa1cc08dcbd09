"""A claim carried through its questions: order, rivals, early end, resume, and sealed text that is logged before."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from move37.lab.archive.openings import log_opening, openings
from move37.lab.archive.store import Archive
from move37.lab.claims import (
    ABLATION,
    BASELINE,
    FAMILY,
    HELD_OUT,
    LONGER,
    QUESTIONS,
    RETUNED,
    SECOND_CORPUS,
    WIDER,
    against,
)
from move37.lab.confirming import ConfirmationPlan, Contender, Setup, confirm, runs_planned
from move37.lab.effects import Conditions
from move37.lab.measuring import MeasuringContext
from move37.lab.records import BITS_PER_BYTE, DECIDE, Candidate, Comparison
from move37.lab.standings import Standings
from move37.lab.tasks.task import Rung, Variant
from tests.lab.arithmetic import TOP, ArithmeticTask, noise
from tests.shortened import slow_but

PLAN = ConfirmationPlan(confirmation=1, seeds=(70, 71, 72, 73, 74), part="a skip")
LEVELS = {"mine": 2.40, "mamba2": 2.50, "gla": 2.52, "gla tuned": 2.49, "without": 2.51}


def a_contender(name: str) -> Contender:
    return Contender(id=name, name=name, candidate=Candidate(source=name, author="test", family="gla"), rate=1e-2)


class Laboratory:
    """Everything around a claim, by arithmetic; `levels` may differ by question."""

    def __init__(
        self,
        home: Path,
        levels: dict[str, dict[str, float]] | None = None,
        rates: dict[str, dict[str, float]] | None = None,
    ) -> None:
        self.home, self.levels, self.rates = home, levels or {}, rates or {}
        self.archive = Archive.open(home)
        self.answers: list[Comparison] = []
        self.tasks: dict[str, ArithmeticTask] = {}
        self.opened_before: dict[str, int] = {}
        self.dies_after: int | None = None  # finished runs, after which the process is killed

    def variant(self, question: str) -> Variant:
        self.opened_before[question] = len(openings(self.archive))
        levels = LEVELS | self.levels.get(question, {})
        task = self.tasks.setdefault(
            question,
            ArithmeticTask(
                lambda source, rung, seed: self.survived() + levels[source] + noise(source, seed),
                text="held_out" if question == HELD_OUT else "",
                best_rates=self.rates.get(question),
            ),
        )
        rung = TOP if question != LONGER else Rung(number=2, name="lm@2000", steps=2000)
        where = Conditions(steps=rung.steps, total_steps=500, width=64, text=_text(question))
        return Variant(task=task, rung=rung, where=where)  # type: ignore[arg-type]

    def context(self, question: str, variant: Variant) -> MeasuringContext:
        return MeasuringContext(
            task=variant.task,
            sandbox=None,  # type: ignore[arg-type]
            standings=Standings(self.home / f"{question if question in (SECOND_CORPUS, WIDER) else 'own'}.jsonl"),
            workdir=self.home / "work",
            places=asyncio.Semaphore(2),
        )

    def setup(self, **changes: Any) -> Setup:
        fields: dict[str, Any] = {
            "candidate": a_contender("mine"), "baselines": (a_contender("mamba2"), a_contender("gla")),
            "families": (a_contender("gla tuned"),), "ablation": a_contender("without"), "missing": {},
            "variant": self.variant, "context": self.context, "archive": self.archive, "corpus": "digest",
            "on_answer": self.answers.append,
        }  # fmt: skip
        return Setup(**(fields | changes))

    def survived(self) -> float:
        if self.trained - 1 == self.dies_after:  # the run that begins now is counted already
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.0

    @property
    def trained(self) -> int:
        return sum(len(task.measured) for task in self.tasks.values())


def _text(question: str) -> str:
    return "held_out" if question == HELD_OUT else DECIDE


async def test_a_true_gain_stands_when_everything_holds(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    claim = await confirm(lab.setup(), PLAN)
    assert claim.stands and not claim.missing
    assert [c.question for c in claim.comparisons] == [BASELINE, BASELINE, *QUESTIONS[1:]]
    further = [c for c in claim.comparisons if c.question in (HELD_OUT, SECOND_CORPUS, WIDER, LONGER)]
    assert {c.rival for c in further} == {"gla tuned"}, "further conditions are asked against the hardest rival"
    assert claim.core_seconds > 0 and lab.answers == list(claim.comparisons)
    seeds = {c.question: c.seeds for c in claim.comparisons}
    assert seeds.pop(SECOND_CORPUS) == 2 * len(PLAN.seeds), "its noise is larger, and nobody has measured it"
    assert set(seeds.values()) == {len(PLAN.seeds)}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_one_failing_question_ends_it_and_spares_the_rest(tmp_path: Path, question: str) -> None:
    # The candidate's own runs are those of the first question wherever nothing but the rival differs.
    worse = {FAMILY: {"gla tuned": 2.3}, ABLATION: {"without": 2.3}}.get(question, {"mine": 2.60})
    lab = Laboratory(tmp_path, {question: worse})
    claim = await confirm(lab.setup(), PLAN)
    assert not claim.stands and claim.comparisons[-1].question == question
    assert [q for q in QUESTIONS if q in lab.tasks] == list(QUESTIONS[: QUESTIONS.index(question) + 1])


async def test_all_can_be_asked_after_a_failure(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path, {BASELINE: {"mine": 2.60}})
    claim = await confirm(lab.setup(), PLAN, everything=True)
    assert not claim.stands and {c.question for c in claim.comparisons} == set(QUESTIONS)


async def test_sealed_text_is_logged_before_it_is_opened_and_counted_for_ever(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    await confirm(lab.setup(), PLAN)
    assert lab.opened_before[HELD_OUT] == 1 and lab.opened_before[BASELINE] == 0
    assert len(openings(lab.archive)) == 1
    assert log_opening(lab.archive, experiment="c1-002", corpus="digest", purpose="again") == 2
    assert log_opening(lab.archive, experiment="c1-002", corpus="other", purpose="again") == 1


async def test_what_a_killed_confirmation_finished_is_not_trained_again(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    lab = Laboratory(tmp_path)

    def die(comparison: Comparison) -> None:
        if comparison.question == ABLATION:
            raise Killed

    with pytest.raises(Killed):
        await confirm(lab.setup(on_answer=die), PLAN)
    before = lab.trained
    claim = await confirm(lab.setup(), PLAN)
    whole = Laboratory(tmp_path / "other")
    assert claim == await confirm(whole.setup(), PLAN)
    assert lab.trained == whole.trained and before < whole.trained
    assert whole.trained <= runs_planned(whole.setup(), PLAN)


async def test_a_failed_run_or_a_missing_rival_never_lets_a_claim_stand(tmp_path: Path) -> None:
    crashing = replace(a_contender("mine"), candidate=Candidate(source="CRASH", author="test"))
    claim = await confirm(Laboratory(tmp_path / "a").setup(candidate=crashing), PLAN)
    assert not claim.stands and "ZeroDivisionError" in claim.comparisons[0].note
    without = Laboratory(tmp_path / "b").setup(ablation=None, missing={ABLATION: "fails a gate"})
    assert not (await confirm(without, PLAN)).stands


async def test_a_family_of_its_own_needs_no_tuned_relative(tmp_path: Path) -> None:
    claim = await confirm(Laboratory(tmp_path).setup(families=(), missing={FAMILY: ""}), PLAN)
    assert claim.stands and FAMILY not in {c.question for c in claim.comparisons}


async def test_at_another_width_each_arm_runs_at_the_rate_that_is_best_there(tmp_path: Path) -> None:
    rates = {WIDER: {"mine": 5e-3, "gla tuned": 1e-2}}
    lab = Laboratory(tmp_path, {WIDER: {"gla tuned": 2.47}}, rates)
    claim = await confirm(lab.setup(), PLAN)
    wider = next(c for c in claim.comparisons if c.question == WIDER)
    assert claim.stands and wider.rates == (5e-3, 1e-2) and wider.effect == pytest.approx(0.07, abs=0.02)
    assert all(c.rates == () for c in claim.comparisons if c.question not in RETUNED), (
        "elsewhere each arm keeps its own"
    )
    chosen = [seed for _, _, seed in lab.tasks[WIDER].measured if seed not in PLAN.seeds]
    assert chosen == [0] * 6, "three rates an arm, on the screening seed"
    assert "each at its best rate there (its own 0.005, gla tuned's 0.01)" in against(wider, BITS_PER_BYTE)


async def test_whoever_needs_another_rate_as_well_gains_nothing_by_it(tmp_path: Path) -> None:
    rates = {WIDER: {"mine": 5e-3, "gla tuned": 2.5e-3}}
    claim = await confirm(Laboratory(tmp_path, {WIDER: {"mine": 2.60}}, rates).setup(), PLAN)
    wider = claim.comparisons[-1]
    assert wider.question == WIDER and not wider.holds and wider.rates == (5e-3, 2.5e-3)


async def test_an_ablation_that_needs_another_rate_is_not_beaten_by_the_rate(tmp_path: Path) -> None:
    rates = {ABLATION: {"mine": 1e-2, "without": 2e-2}}
    claim = await confirm(Laboratory(tmp_path, {ABLATION: {"without": 2.40}}, rates).setup(), PLAN)
    ablated = claim.comparisons[-1]
    assert ablated.question == ABLATION and ablated.rates == (1e-2, 2e-2)
    assert not ablated.holds and ablated.effect == pytest.approx(0.0, abs=0.03)


async def test_of_two_families_both_have_to_be_beaten(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path, {FAMILY: {"ssd tuned": 2.30}})
    why = "its family is gla; its author calls it ssd"
    setup = lab.setup(families=(a_contender("gla tuned"), a_contender("ssd tuned")), family_why=why)
    claim = await confirm(setup, PLAN)
    asked = {c.rival: c.holds for c in claim.comparisons if c.question == FAMILY}
    assert asked == {"gla tuned": True, "ssd tuned": False} and not claim.stands and claim.family == why


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from move37.lab.confirming import confirm
from tests.lab.test_confirming import PLAN, Laboratory

lab = Laboratory(Path(sys.argv[1]))
lab.dies_after = int(sys.argv[2])
asyncio.run(confirm(lab.setup(), PLAN))
"""


@pytest.mark.parametrize("finished", slow_but([1, 12, 33], [12]))
async def test_kill_9_in_the_middle_of_a_claim_loses_and_repeats_no_run(tmp_path: Path, finished: int) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(finished)], check=False)
    assert ended.returncode == -signal.SIGKILL
    again, whole = Laboratory(tmp_path), Laboratory(tmp_path / "other")
    assert await confirm(again.setup(), PLAN) == await confirm(whole.setup(), PLAN)
    assert again.trained == whole.trained - finished
