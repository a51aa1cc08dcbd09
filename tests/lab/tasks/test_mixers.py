"""The main task: what its presets promise, and one real measurement of each kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from move37.lab import baselines
from move37.lab.claims import BASELINE, HELD_OUT, LONGER, SECOND_CORPUS, WIDER
from move37.lab.effects import conditions_of
from move37.lab.errors import BadTask
from move37.lab.probes.parity import PARITY, PARITY_FAR
from move37.lab.probes.run import run_probe
from move37.lab.records import Candidate
from move37.lab.tasks.mixers import MixersTask
from move37.lab.tasks.task import Progress, Rung
from move37.lab.training.corpus import Corpus
from move37.sandbox import ProcessSandbox
from tests.lab.training.test_forging import HONEST, a_task


def a_schedule_task() -> MixersTask:
    empty = np.zeros(0, dtype=np.uint8)
    return MixersTask(corpus=Corpus(name="none", sha256="", train=empty, validation=empty))


def test_quick_takes_three_of_twelve_then_two_and_confirms_one() -> None:
    schedule = a_schedule_task().schedule("quick")
    steps = [(r.steps, r.keep) for r in schedule.rungs if r.number == 2]
    assert steps == [(100, 3), (200, 2), (500, None)]
    assert (schedule.candidates, schedule.generation, schedule.finalists, schedule.confirm_seeds) == (12, 12, 1, 5)
    assert schedule.learning_rate == 1e-2 and schedule.max_seconds is not None and schedule.max_seconds < 600


def test_quick_says_what_it_shortened() -> None:
    text = " ".join(a_schedule_task().schedule("quick").shortened)
    assert "one seed" in text and "No ablation" in text and "held-out" in text


def test_full_keeps_half_tunes_rates_and_has_no_time_limit() -> None:
    schedule = a_schedule_task().schedule("full")
    assert schedule.rungs[0].keep == schedule.generation // 2
    assert schedule.finalist_rates == (5e-3, 2e-2) and schedule.confirm_seeds >= 8 and schedule.max_seconds is None


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_baselines_are_measured_at_every_step_count_that_candidates_are(preset: str) -> None:
    schedule = a_schedule_task().schedule(preset)
    assert {(r.number, r.name, r.steps) for r in schedule.rungs} == {
        (r.number, r.name, r.steps) for r in schedule.baseline_rungs
    }


def test_what_decides_on_a_second_corpus_is_drawn_by_the_campaigns_secret_too() -> None:
    variant = a_schedule_task().drawn(37).variant(SECOND_CORPUS, second=a_schedule_task())
    assert isinstance(variant.task, MixersTask) and variant.task.secret == 37


def test_rung_names_are_unique_and_an_unknown_preset_is_refused() -> None:
    names = [r.name for r in a_schedule_task().schedule("full").rungs]
    assert len(set(names)) == len(names)
    with pytest.raises(BadTask, match="use quick or full"):
        a_schedule_task().schedule("overnight")


def test_seven_baselines_of_seven_families() -> None:
    baselines = a_schedule_task().baselines
    assert len(baselines) == 7 and len({b.candidate.family for b in baselines}) == 7
    assert all("class Mixer" in b.candidate.source for b in baselines)


@pytest.mark.parametrize("own", [False, True])
def test_noise_is_calibrated_on_the_pinned_corpus_alone(own: bool, tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_bytes(b"the quick brown fox\n" * 60_000)
    assert MixersTask.open(cache=tmp_path, corpus=text if own else None).calibrated is not own


@pytest.mark.asyncio(loop_scope="module")
class TestMeasuring:
    async def test_a_probe_is_scored_outside_and_carries_its_own_rate(self, cell: ProcessSandbox) -> None:
        candidate = replace(a_schedule_task().baselines[0].candidate, source=HONEST)
        probe = replace(PARITY, steps=3, tests=64)
        measurement, failure, where = await run_probe(probe, candidate, experiment="e1", seed=0, sandbox=cell)
        assert measurement is not None and not failure and where["backend"] == "process"
        assert 0.3 < measurement.value < 0.75 and measurement.metric == "parity" and not measurement.self_reported
        assert (measurement.rung, measurement.steps, measurement.learning_rate) == (1, 3, PARITY.learning_rate)

    async def test_a_probe_trained_short_is_tested_long(self, cell: ProcessSandbox) -> None:
        """Another name than the probe of one length: no number of the one is ever read as one of the other."""
        candidate = replace(a_schedule_task().baselines[0].candidate, source=HONEST)
        probe = replace(PARITY_FAR, steps=3, tests=64)
        measurement, failure, _ = await run_probe(probe, candidate, experiment="e1", seed=0, sandbox=cell)
        assert measurement is not None and not failure
        assert measurement.metric == "parity_far" != PARITY.name and 0.2 < measurement.value < 0.8
        assert measurement.tokens_seen == 3 * 64 * 40, "trained on 40 bits"

    async def test_a_probe_that_breaks_names_itself(self, cell: ProcessSandbox) -> None:
        candidate = replace(a_schedule_task().baselines[0].candidate, source=HONEST.replace("x)", "x, 1)"))
        measurement, failure, _ = await run_probe(
            replace(PARITY, steps=2), candidate, experiment="e1", seed=0, sandbox=cell
        )
        assert measurement is None and failure.startswith("parity: training failed")

    async def test_progress_is_told_in_bits(self, cell: ProcessSandbox, tmp_path: Path) -> None:
        told: list[Progress] = []
        candidate = replace(a_schedule_task().baselines[0].candidate, source=HONEST)
        await a_task().measure(
            candidate, experiment="e1", rung=Rung(number=2, name="lm@4", steps=4), seed=0, learning_rate=1e-2,
            fresh=False, sandbox=cell, workdir=tmp_path, on_progress=told.append,
        )  # fmt: skip
        assert told and told[-1].step == 4 and told[-1].steps == 4
        assert told[0].loss is not None and 7.0 < told[0].loss < 9.0, "an untrained network knows nothing: 8 bits"

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["softmax", "linear", "retnet", "mamba2", "gla", "delta_net", "gated_delta_net"])
    async def test_every_baseline_learns(self, cell: ProcessSandbox, tmp_path: Path, name: str) -> None:
        baseline = next(b for b in a_task().baselines if b.name == name)
        got = await a_task().measure(
            baseline.candidate, experiment=name, rung=Rung(number=2, name="lm@20", steps=20), seed=0,
            learning_rate=1e-2, fresh=True, sandbox=cell, workdir=tmp_path,
        )  # fmt: skip
        assert not got.failure, got.failure
        assert got.measurements[0].value < 4.8 and got.measurements[0].fresh


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
async def test_a_claims_questions_are_other_conditions_of_the_same_task(cell: ProcessSandbox, tmp_path: Path) -> None:
    task = MixersTask.open(cache=tmp_path / "cache")
    source = Candidate(source=baselines.source("linear"), author="baseline")
    seen = set()
    for question in (BASELINE, LONGER, WIDER, HELD_OUT):
        variant = task.variant(question)
        rung = replace(variant.rung, steps=2)
        measured = await variant.task.measure(
            source, experiment=f"linear-{question}", rung=rung, seed=7, learning_rate=1e-2, fresh=True, sandbox=cell,
            workdir=tmp_path / question,
        )  # fmt: skip
        assert measured.failure == ""
        (m,) = measured.measurements
        assert conditions_of(m) == replace(variant.where, steps=2)
        assert m.calibrated == (question in (BASELINE, HELD_OUT)), "the noise was measured at one length and width"
        seen.add((round(m.value, 6), variant.where))
    assert len(seen) == 4
    with pytest.raises(BadTask, match="--second-corpus"):
        task.variant(SECOND_CORPUS)
