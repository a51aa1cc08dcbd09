"""A scale is a setting: another width, depth, batch and context train and score by the same code, exactly resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from move37.lab import baselines
from move37.lab.claims import WIDER
from move37.lab.records import Candidate, Measurement
from move37.lab.scale import CPU, PAPER, SCALES, SMALL, Scale
from move37.lab.tasks.mixers import MixersTask
from move37.lab.tasks.task import Rung
from move37.lab.training import jobs
from move37.lab.training.contract import load_mixer
from move37.lab.training.sizes import TARGET_PARAMETERS, fit_mlp_width
from move37.sandbox import ProcessSandbox
from move37.sandbox.job import Limits
from tests.lab.inside.mixers import HONEST
from tests.lab.training.test_forging import a_task

TINY = Scale(name="tiny", width=32, layers=3, heads=2, context=48, batch=4, steps=40)


def test_the_cpu_scale_is_the_measured_network() -> None:
    assert CPU.parameters == TARGET_PARAMETERS and CPU.calibrated
    assert PAPER.tokens == pytest.approx(1e9, rel=1e-3) and not PAPER.calibrated


@given(st.sampled_from([16, 32, 64, 128, 256, 512]), st.integers(1, 12))
def test_every_scale_leaves_a_mixer_like_the_baselines_its_mlp(width: int, layers: int) -> None:
    scale = Scale(name="x", width=width, layers=layers, heads=2, context=8, batch=1, steps=1)
    mixer = baselines.largest(width, 2)
    assert fit_mlp_width(mixer, scale.parameters, d_model=width, n_layers=layers) >= width


SHAPES = [(s.width, s.heads) for s in SCALES.values()]


@pytest.mark.parametrize(
    ("width", "heads"), [*SHAPES, (16, 2), (16, 8), (32, 4), (32, 16), (64, 8), (64, 32), (512, 8)]
)
def test_every_baseline_is_let_in_at_every_scale_of_ours_and_of_others(width: int, heads: int) -> None:
    """Counted at that width and those heads, as the gate counts."""
    counts = {}
    for name in baselines.NAMES:
        mixer = load_mixer(baselines.source(name))(width, heads)  # type: ignore[call-arg, arg-type]
        counts[name] = sum(p.numel() for p in mixer.parameters())
    least = baselines.LARGEST * width**2 // 64**2
    assert baselines.largest(width, heads) == max(least, *counts.values()), counts


def test_a_job_asks_for_no_more_than_its_scale_needs_and_the_default_for_nothing() -> None:
    assert jobs.Network(kind="bytes").limits == Limits()
    assert jobs.Network(kind="probe").limits == Limits()
    paper = jobs.Network(kind="bytes", scale=PAPER, gpus=1).limits
    assert paper.gpus == 1 and paper.threads > 1 and paper.memory_bytes > Limits().memory_bytes
    assert jobs.Network(kind="bytes", scale=SMALL).limits.gpus == 0
    measured = {SMALL: 0.84e9, PAPER: 11.51e9}  # bytes of Gated DeltaNet's three processes, docs/figures/lab.md
    for scale, peak in measured.items():
        assert 1.15 * peak < jobs.Network(kind="bytes", scale=scale).limits.memory_bytes < 4 * peak


@pytest.mark.parametrize("wrong", [{"micro_batch": 3}, {"heads": 5}, {"width": 0}, {"steps": 0}, {"heads": 64}])
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        replace(CPU, **wrong)


def test_no_segment_carries_more_tokens_than_a_job_may() -> None:
    for scale in SCALES.values():
        network = jobs.Network(kind="bytes", scale=scale)
        assert network.segment_steps * scale.batch * scale.context <= jobs.SEGMENT_TOKENS


async def trained(
    cell: ProcessSandbox, task: MixersTask, folder: Path, steps: int = 12, rate: float = 1e-2
) -> Measurement:
    rung = Rung(number=2, name=f"lm@{steps}", steps=steps)
    got = await task.measure(
        Candidate(source=HONEST, author="test"), experiment="scaled", rung=rung, seed=1, learning_rate=rate,
        fresh=True, sandbox=cell, workdir=folder,
    )  # fmt: skip
    assert not got.failure, got.failure
    return got.measurements[0]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("steps, diverged", [(1, False), (12, True)])
async def test_who_has_not_begun_to_learn_has_not_diverged(
    cell: ProcessSandbox, tmp_path: Path, steps: int, diverged: bool
) -> None:
    """At its start a network is worse than a uniform guess; behind the warm-up that is a divergence."""
    task = replace(a_task(), scale=TINY, total_steps=TINY.steps)
    assert 1 <= TINY.warmup < 12
    assert (await trained(cell, task, tmp_path, steps=steps, rate=1e-9)).diverged is diverged


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
async def test_another_scale_trains_in_segments_and_is_resumed_exactly(
    cell: ProcessSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = replace(a_task(), scale=TINY, total_steps=TINY.steps)
    whole = await trained(cell, task, tmp_path / "whole")
    assert (whole.width, whole.total_steps, whole.tokens_seen) == (32, 40, 12 * 4 * 48)
    assert whole.value < 8.0 and not whole.self_reported and not whole.calibrated
    monkeypatch.setattr(jobs, "SEGMENT_TOKENS", 5 * 4 * 48)
    assert (await trained(cell, task, tmp_path / "segments")).value == whole.value
    await trained(cell, task, tmp_path / "resumed", steps=7)
    assert (await trained(cell, task, tmp_path / "resumed")).value == whole.value


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.slow
async def test_micro_batches_train_as_the_whole_batch_and_are_resumed_bit_for_bit(
    cell: ProcessSandbox, tmp_path: Path
) -> None:
    cut = replace(a_task(), scale=replace(TINY, micro_batch=2), total_steps=TINY.steps)
    whole = await trained(cell, replace(a_task(), scale=TINY, total_steps=TINY.steps), tmp_path / "whole")
    parts = await trained(cell, cut, tmp_path / "parts")
    assert parts.value == pytest.approx(whole.value, abs=1e-4), "the same sums in another order"
    assert parts.scale == whole.scale == "3x32h2-4x48"
    await trained(cell, cut, tmp_path / "resumed", steps=5)
    assert (await trained(cell, cut, tmp_path / "resumed")).value == parts.value
    weights = [load(next((tmp_path / n).glob("*.safetensors")).read_bytes()) for n in ("parts", "resumed")]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.asyncio(loop_scope="module")
async def test_speed_and_work_are_told_and_no_peak_is_invented(cell: ProcessSandbox, tmp_path: Path) -> None:
    told = await trained(cell, replace(a_task(), scale=TINY, total_steps=TINY.steps), tmp_path)
    assert told.tokens_per_second > 0.0
    # Two products of width x width a mixer, MLP and head, three forward passes: by hand.
    mixer = 2 * 2 * 32 * 32
    mlp = fit_mlp_width(2 * 32 * 32, TINY.parameters, d_model=32, n_layers=3)
    assert told.flops_per_token == 3 * (3 * (mixer + 2 * 2 * 32 * mlp) + 2 * 256 * 32)
    assert told.peak_flops == 0.0 and told.utilisation is None
    assert replace(told, peak_flops=1e12).utilisation == pytest.approx(
        told.tokens_per_second * told.flops_per_token / 1e12
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_a_claim_can_ask_for_twice_the_width(cell: ProcessSandbox, tmp_path: Path) -> None:
    variant = a_task().variant(WIDER)
    assert variant.where.width == 128 and isinstance(variant.task, MixersTask)
    assert (await trained(cell, variant.task, tmp_path, steps=3)).width == 128
