"""The judge outside: NumPy against a slow twin, and what a job may and may not hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from move37.lab.records import Candidate
from move37.lab.training.jobs import Network, Stretch, answer_job, train_job
from move37.lab.training.outcomes import fault
from move37.lab.training.score import NOT_FINITE, clean_weights, nats, reads_the_future, sample_prefixes
from move37.sandbox.job import Limits, Outcome, Status

CANDIDATE = Candidate(source="class Mixer: ...", author="x")
BYTES = Network(kind="bytes")


@given(st.integers(0, 2**32 - 1))
def test_nats_are_minus_log_softmax_whatever_offset_the_scores_have(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, size=(2, 3, 5)) + rng.normal(0, 100, size=(2, 3, 1))
    targets = rng.integers(-1, 5, size=(2, 3))
    found = nats(scores, targets)
    for row, at in np.ndindex(2, 3):
        odds = np.exp(scores[row, at] - scores[row, at].max())
        target = targets[row, at]
        expected = 0.0 if target < 0 else -math.log(odds[target] / odds.sum())
        assert found[row, at] == pytest.approx(expected, abs=1e-4)


def test_probabilities_above_one_are_worth_nothing() -> None:
    certain = np.full((1, 1, 256), 5.0, dtype=np.float16)
    assert nats(certain, np.array([[7]]))[0, 0] == pytest.approx(math.log(256), abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.integers(20, 600), st.integers(4, 128))
def test_no_window_is_cut_twice_and_no_prefix_is_whole(seed: int, count: int, length: int) -> None:
    """A longer prefix of the same window in the same job would hold the future of the shorter one."""
    inputs = np.arange(count * length).reshape(count, length)
    prefixes = sample_prefixes(inputs, np.random.default_rng(seed))
    rows = np.concatenate([p.rows for p in prefixes.values()])
    lengths = [p.inputs.shape[1] for p in prefixes.values()]
    assert len(set(rows.tolist())) == len(rows) and len(set(lengths)) == len(lengths)
    assert all(1 <= cut < length for cut in lengths)
    for p in prefixes.values():
        assert np.array_equal(p.inputs, inputs[p.rows, : p.inputs.shape[1]])


def scores_of(targets: np.ndarray, leak: float) -> np.ndarray:
    """Uniform log-probabilities with `leak` nats added on the target."""
    out = np.full((*targets.shape, 256), -math.log(256), dtype=np.float32)
    np.put_along_axis(out, targets[..., None], -math.log(256) + leak, axis=-1)
    return out.astype(np.float16)


@pytest.mark.parametrize("leak, caught", [(0.0, False), (0.005, True), (0.03, True), (0.5, True)])
def test_what_the_future_is_worth_is_caught(leak: float, caught: bool) -> None:
    targets = np.random.default_rng(0).integers(0, 256, size=(300, 32))
    prefixes = sample_prefixes(targets, np.random.default_rng(1))
    honest = {n: scores_of(targets[p.rows, : p.inputs.shape[1]], 0.0) for n, p in prefixes.items()}
    verdict = reads_the_future(scores_of(targets, leak), honest, prefixes, targets)
    assert bool(verdict) is caught and ("reads the future" in verdict) is caught


def test_a_leak_at_one_position_in_twenty_is_caught() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 256, size=(300, 32))
    full = scores_of(targets, 0.0)
    at = rng.random(targets.shape) < 0.05
    full[at] = scores_of(targets, 4.0)[at]
    prefixes = sample_prefixes(targets, rng)
    honest = {n: scores_of(targets[p.rows, : p.inputs.shape[1]], 0.0) for n, p in prefixes.items()}
    assert reads_the_future(full, honest, prefixes, targets)


def test_only_the_models_finite_part_of_a_checkpoint_passes() -> None:
    checkpoint = save({"model.w": np.ones(3, np.float32), "exp_avg.w": np.ones(3, np.float32), "note": np.ones(1)})
    weights, problem = clean_weights(checkpoint, most_parameters=3)
    assert weights is not None and not problem and list(load(weights)) == ["model.w"]


@pytest.mark.parametrize(
    "checkpoint, words",
    [
        (b"", "not readable"),
        (b"\xff" * 64, "not readable"),
        (save({"other": np.ones(3)}), "hold 0 numbers"),
        (save({"model.w": np.ones(9)}), "at most 5"),
        (save({"model.w": np.array([1.0, math.inf])}), NOT_FINITE),
    ],
)
def test_everything_else_is_refused_in_one_sentence(checkpoint: bytes, words: str) -> None:
    weights, problem = clean_weights(checkpoint, most_parameters=5)
    assert weights is None and words in problem and "\n" not in problem


def test_a_training_job_holds_its_batches_and_no_other_text() -> None:
    steps = np.full((2, 16, 128), 7)
    stretch = Stretch(seed=0, first=0, stop=2, learning_rate=1e-2, inputs=steps, targets=steps, checkpoint=None)
    job = train_job(CANDIDATE, BYTES, stretch, trust="e1", wall_seconds=9.0)
    data = {name for name in job.files if not name.endswith(".py")}
    assert data == {"spec.json", "steps.safetensors"} and job.trust == "e1"
    assert len(job.files["steps.safetensors"]) < 4 * steps.size
    assert job.limits.threads == 1 and job.limits.wall_seconds == 9.0


def test_an_answering_job_holds_inputs_and_no_answer_and_room_for_what_it_must_say() -> None:
    inputs = {"00000": np.zeros((512, 128), dtype=np.uint8)}
    job = answer_job(CANDIDATE, BYTES, b"weights", inputs, trust="e1", wall_seconds=9.0)
    data = {name for name in job.files if not name.endswith(".py")}
    assert data == {"spec.json", "weights.safetensors", "inputs.safetensors"}
    said = 512 * 128 * 256 * 2
    assert said < job.limits.result_bytes <= said + 2 * 1024 * 1024
    assert job.limits.disk_bytes == Limits().disk_bytes  # no warm container fits another size


@pytest.mark.parametrize(
    "outcome, words",
    [
        (Outcome(job="j", status=Status.TIMED_OUT, exit_code=124, wall_seconds=60.2), "did not end within 60 s"),
        (Outcome(job="j", status=Status.OUT_OF_MEMORY, exit_code=137, peak_memory_bytes=2**31), "2048 MiB"),
        (Outcome(job="j", status=Status.RESULTS_REFUSED, exit_code=0, message="a link"), "refused: a link"),
        (Outcome(job="j", status=Status.DONE, exit_code=0), "ended without a result"),
        (Outcome(job="j", status=Status.FAILED, exit_code=1, stderr=b"Traceback\n  x\nKeyError: 'q'"), "KeyError: 'q'"),
        (Outcome(job="j", status=Status.FAILED, exit_code=9, stderr=b"\xff\xfe"), "training failed"),
        (Outcome(job="j", status=Status.FAILED, exit_code=9), "exit status 9"),
    ],
)
def test_every_way_of_ending_is_one_sentence(outcome: Outcome, words: str) -> None:
    sentence, _ = fault(outcome, doing="training")
    assert words in sentence and "\n" not in sentence
