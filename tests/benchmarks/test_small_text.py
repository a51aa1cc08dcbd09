"""The cut-down task: trainings are shared by genome and seed, and only what the grammar wrote is measured."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES
from move37.benchmarks.small_text import SmallText
from move37.lab.records import Candidate
from move37.lab.tasks.task import Measured, Rung
from tests.agents.contexts import NoSandbox

SCREEN = Rung(number=2, name="lm@100", steps=100)


def measured(task: SmallText, source: str, seed: int, folder: Path) -> Measured:
    work = task.measure(
        Candidate(source=source, author="x"), experiment="e", rung=SCREEN, seed=seed, learning_rate=1e-2,
        fresh=False, sandbox=NoSandbox(), workdir=folder,
    )  # fmt: skip
    return asyncio.run(work)


def test_a_training_is_looked_up_by_genome_and_seed_whatever_the_file_is_called(tmp_path: Path) -> None:
    genome, kept = BASELINES["linear"], tmp_path / "trainings.jsonl"
    known = [{"plan": genome.to_json(), "seed": seed, "steps": 100, "value": 3.0 + seed} for seed in (0, 1)]
    kept.write_text("".join(json.dumps(row) + "\n" for row in known))
    task = SmallText.small(cache=tmp_path, trainings=kept)
    for seed in (0, 1):
        (found,) = measured(task, emit(genome, name="another name"), seed, tmp_path).measurements
        assert (found.value, found.seed, found.steps) == (3.0 + seed, seed, 100)
    assert {b.name for b in task.baselines} == set(BASELINES)


def test_a_file_that_the_grammar_did_not_write_is_a_failure_and_no_training(tmp_path: Path) -> None:
    kept = tmp_path / "trainings.jsonl"
    task = SmallText.small(cache=tmp_path, trainings=kept)
    edited = emit(BASELINES["linear"], name="x").replace("forward(", "forward (").replace("bias=False", "bias=True")
    found = measured(task, edited, 0, tmp_path)
    assert not found.measurements and "grammar" in found.failure and not kept.exists()
