"""One mixer outside a campaign: nothing is trained twice, and one look is called one look."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.lab.errors import MeasurementBroken
from move37.lab.measuring import MeasuredArm, MeasuringContext, gates, runs, verdict
from move37.lab.records import BITS_PER_BYTE, Candidate
from move37.lab.standings import Key, RivalStanding, Standings
from move37.lab.tasks.task import Measured
from tests.builders import a_candidate, a_measurement
from tests.lab.arithmetic import TOP, ArithmeticTask


def a_bench(path: Path, task: ArithmeticTask | None = None, **changes: Any) -> MeasuringContext:
    fields: dict[str, Any] = {
        "task": task or ArithmeticTask(),
        "sandbox": None,
        "standings": Standings(path / "standings.jsonl"),
        "workdir": path / "work",
        "places": asyncio.Semaphore(2),
    }
    return MeasuringContext(**(fields | changes))


def mine(source: str = "class Mixer: mine") -> Candidate:
    return Candidate(source=source, author="person")


async def test_a_run_is_trained_once_a_home_whatever_the_file_is_called(tmp_path: Path) -> None:
    task = ArithmeticTask()
    first = await runs(a_bench(tmp_path, task), mine(), "mine", rung=TOP, seeds=(0, 1), rate=1e-2)
    again = await runs(a_bench(tmp_path, task), mine(), "renamed", rung=TOP, seeds=(0, 1, 2), rate=1e-2)
    assert [seed for _, _, seed in task.measured] == [0, 1, 2]
    assert again.measurements[:2] == first.measurements


@pytest.mark.parametrize("other", ["source", "rate", "fresh", "steps"])
async def test_another_file_rate_text_or_length_is_another_run(tmp_path: Path, other: str) -> None:
    task = ArithmeticTask()
    await runs(a_bench(tmp_path, task), mine(), "mine", rung=TOP, seeds=(0,), rate=1e-2)
    await runs(
        a_bench(tmp_path, task),
        mine("class Mixer: other" if other == "source" else "class Mixer: mine"),
        "mine",
        rung=TOP if other != "steps" else type(TOP)(number=2, name="lm@100", steps=100),
        seeds=(0,),
        rate=2e-2 if other == "rate" else 1e-2,
        fresh=other == "fresh",
    )
    assert len(task.measured) == 2


class Busy(ArithmeticTask):
    """Starved of processor time at the first `times` trainings."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def measure(self, candidate: Candidate, **asked: Any) -> Measured:
        measured = await super().measure(candidate, **asked)
        starved = len(self.measured) <= self.times
        return Measured(measurements=(), failure="training did not end", starved=True) if starved else measured


async def test_a_training_that_got_no_processor_is_tried_again_and_never_held_against_its_mixer(tmp_path: Path) -> None:
    once = await runs(a_bench(tmp_path, Busy(1)), mine(), "mine", rung=TOP, seeds=(0,), rate=1e-2)
    assert len(once.measurements) == 1 and not once.failure
    with pytest.raises(MeasurementBroken, match="when this machine has time"):
        await runs(a_bench(tmp_path / "other", Busy(9)), mine(), "mine", rung=TOP, seeds=(0,), rate=1e-2)


async def test_a_run_is_told_when_its_training_begins_and_not_while_it_waits(tmp_path: Path) -> None:
    task, told = ArithmeticTask(), []
    context = a_bench(
        tmp_path,
        task,
        places=asyncio.Semaphore(1),
        on_run=lambda name, seed, kept: told.append((seed, kept, len(task.measured))),
    )
    await runs(context, mine(), "mine", rung=TOP, seeds=(0, 1), rate=1e-2)
    await runs(context, mine(), "mine", rung=TOP, seeds=(0, 1, 2), rate=1e-2)
    assert told[:2] == [(0, False, 0), (1, False, 1)]
    assert sorted(told[2:]) == [(0, True, 2), (1, True, 2), (2, False, 2)]


async def test_two_files_of_one_name_share_no_checkpoint(tmp_path: Path) -> None:
    for source in ("class Mixer: one", "class Mixer: two"):
        await runs(a_bench(tmp_path), mine(source), "mine", rung=TOP, seeds=(0,), rate=1e-2)
    assert len(list((tmp_path / "work").iterdir())) == 2


async def test_a_failure_is_the_mixers_and_is_not_kept(tmp_path: Path) -> None:
    arm = await runs(a_bench(tmp_path), mine("CRASH"), "mine", rung=TOP, seeds=(0,), rate=1e-2)
    assert "ZeroDivisionError" in arm.failure and not arm.measurements
    assert not Standings(tmp_path / "standings.jsonl").all()


async def test_gates_answer_for_the_file(tmp_path: Path) -> None:
    assert [g.passed for g in await gates(a_bench(tmp_path), mine("BAD"), "mine")] == [False]


@given(st.integers(0, 6), st.floats(-0.2, 0.2))
def test_a_comparison_has_an_interval_from_two_seeds_on_and_promises_one_look(seeds: int, gain: float) -> None:
    arms = [
        MeasuredArm(
            name=n, candidate=a_candidate(), measurements=tuple(a_measurement(value=v, seed=s) for s in range(seeds))
        )
        for n, v in (("mine", 2.5 - gain), ("gla", 2.5))
    ]
    found = verdict(BITS_PER_BYTE, *arms)
    assert (found is None) == (seeds == 0)
    if found is not None:
        assert found.effect == pytest.approx(gain) and (found.low is None) == (seeds == 1)
        assert ("one look" in found.text) == (seeds > 1)


@given(st.integers(0, 400))
def test_a_line_that_a_kill_cut_short_is_skipped(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = Standings(Path(folder) / "s.jsonl")
        standings = [
            RivalStanding(name="mine", family="gla", source="x", measurement=a_measurement(seed=n)) for n in range(2)
        ]
        for standing in standings:
            kept.put(standing)
        whole = kept.path.read_bytes()
        kept.path.write_bytes(whole[: len(whole) - cut])
        found = kept.all()
        assert found == tuple(standings[: len(found)])
        kept.put(standings[1])  # after a cut line, the next one must not be lost with it
        assert kept.all()[-1] == standings[1]


def test_a_key_holds_all_that_a_number_depends_on() -> None:
    base = a_measurement(total_steps=500, width=64)
    changes: list[tuple[str, dict[str, Any]]] = [
        ("x", {}), ("y", {}), ("x", {"steps": 500}), ("x", {"total_steps": 2000}), ("x", {"width": 128}),
        ("x", {"text": "held_out"}), ("x", {"seed": 1}), ("x", {"learning_rate": 2e-2}), ("x", {"rung": 3}),
    ]  # fmt: skip
    keys = {Key.of(source, a_measurement(**({"total_steps": 500, "width": 64} | change))) for source, change in changes}
    assert len(keys) == 9 and Key.of("x", base) in keys


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("seeds", [1, 3])
def test_where_nobody_measured_the_noise_a_comparison_says_so(calibrated: bool, seeds: int) -> None:
    """At such a scale the interval rests on the seeds at hand; with one seed there is none to speak of."""
    arms = [
        MeasuredArm(
            name=name, candidate=a_candidate(),
            measurements=tuple(a_measurement(value=v + s / 100, seed=s, calibrated=calibrated) for s in range(seeds)),
        )
        for name, v in (("ours", 2.4), ("gla", 2.5))
    ]  # fmt: skip
    found = verdict(BITS_PER_BYTE, *arms)
    assert found is not None and ("never calibrated" in found.text) == (not calibrated and seeds > 1)
