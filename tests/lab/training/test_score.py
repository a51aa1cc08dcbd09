"""What comes back from a job and what travels with it: files are checked, jobs hold what they need and no more."""

from __future__ import annotations

import math

import numpy as np
import pytest
from safetensors.numpy import load, save

from move37.lab.records import Candidate
from move37.lab.training.jobs import Network, Segment, score_job, train_job
from move37.lab.training.outcomes import fault, read_report
from move37.lab.training.score import NOT_FINITE, clean_weights
from move37.sandbox.job import Limits, Outcome, Status

CANDIDATE = Candidate(source="class Mixer: ...", author="x")
BYTES = Network(kind="bytes")


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
        (save({"model.w": np.ones(9, np.float32)}), "at most 5"),
        (save({"model.w": np.ones(3, np.complex64)}), "hold 6 numbers"),
        (save({"model.w": np.ones(5, np.float64)}), "in 40 bytes"),
        (save({"model.w": np.array([1.0, math.inf])}), NOT_FINITE),
    ],
)
def test_everything_else_is_refused_in_one_sentence(checkpoint: bytes, words: str) -> None:
    weights, problem = clean_weights(checkpoint, most_parameters=5)
    assert weights is None and words in problem and "\n" not in problem


def test_a_training_job_holds_its_batches_and_no_other_text() -> None:
    steps = np.full((2, 16, 128), 7)
    segment = Segment(seed=0, first=0, stop=2, learning_rate=1e-2, inputs=steps, targets=steps, checkpoint=None)
    job = train_job(CANDIDATE, BYTES, segment, trust="e1", wall_seconds=9.0)
    data = {name for name in job.files if not name.endswith((".py", ".pyc"))}
    assert data == {"spec.json", "steps.safetensors"} and job.trust == "e1"
    assert len(job.files["steps.safetensors"]) < 4 * steps.size
    assert job.limits.threads == 1 and job.limits.wall_seconds == 9.0


def test_a_scoring_job_holds_windows_and_brings_back_sums_alone() -> None:
    windows = np.zeros((512, 128), dtype=np.uint8)
    job = score_job(CANDIDATE, BYTES, b"weights", windows, windows, seed=3, trust="e1", wall_seconds=9.0, prefixes=True)
    data = {name for name in job.files if not name.endswith((".py", ".pyc"))}
    assert data == {"spec.json", "weights.safetensors", "windows.safetensors"}
    assert set(job.collect) == {"scores.safetensors", "report.json"} and job.limits.result_bytes < 2 * 1024 * 1024
    assert job.limits.disk_bytes == Limits().disk_bytes  # no warm container fits another size


@pytest.mark.parametrize(
    "report, expected",
    [
        (b'{"diverged": false, "missing": [], "custom_backward": ""}', (False, False, "")),
        (b'{"diverged": true, "missing": ["Landlock"], "custom_backward": "sign"}', (True, True, "sign")),
        (b'{"diverged": false}', None),
        (b"[" * 9, None),
        (None, None),
    ],
)
def test_a_number_made_without_a_lock_is_self_reported(report: bytes | None, expected: tuple | None) -> None:
    files = {} if report is None else {"report.json": report}
    found = read_report(Outcome(job="j", status=Status.DONE, exit_code=0, files=files))
    assert (found and (found.diverged, found.self_reported, found.custom_backward)) == expected


@pytest.mark.parametrize(
    "outcome, words",
    [
        (Outcome(job="j", status=Status.TIMED_OUT, exit_code=124, wall_seconds=60.2), "did not end within 60 s"),
        (
            Outcome(job="j", status=Status.TIMED_OUT, exit_code=124, wall_seconds=60.2, cpu_seconds=12.0),
            "did not end within 60 s, of which it had a processor for 12",
        ),
        (Outcome(job="j", status=Status.OUT_OF_MEMORY, exit_code=137, peak_memory_bytes=2**31), "2048 MiB"),
        (Outcome(job="j", status=Status.RESULTS_REFUSED, exit_code=0, message="a link"), "refused: a link"),
        (Outcome(job="j", status=Status.DONE, exit_code=0), "ended without a result"),
        (Outcome(job="j", status=Status.FAILED, exit_code=1, stderr=b"Traceback\n  x\nKeyError: 'q'"), "KeyError: 'q'"),
        (Outcome(job="j", status=Status.FAILED, exit_code=9, stderr=b"\xff\xfe"), "training failed"),
        (
            Outcome(
                job="j",
                status=Status.FAILED,
                exit_code=1,
                stderr=b"Traceback (most recent call last):\n  x\nKeyError: 'q'\nsys:1: RuntimeWarning: coroutine 'f' "
                b"was never awaited\n",
            ),
            "KeyError: 'q'",
        ),
        (
            Outcome(
                job="j",
                status=Status.FAILED,
                exit_code=-7,
                stderr=b"Bus error\nresource_tracker: There appear to be 1 leaked shared_memory objects\n",
            ),
            "Bus error",
        ),
        (Outcome(job="j", status=Status.FAILED, exit_code=9), "exit status 9"),
    ],
)
def test_every_way_of_ending_is_one_sentence(outcome: Outcome, words: str) -> None:
    sentence, _ = fault(outcome, doing="training")
    assert words in sentence and "\n" not in sentence
