"""The jobs of a training and of its scoring: what travels, what comes back, under which limits. Pure; outside only.

A training job holds the candidate, its own batches and perhaps its checkpoint. An answering job holds the candidate,
weights and inputs, never an answer. Each is a process of its own that meets nothing an earlier one left behind.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from move37.lab.records import Candidate
from move37.lab.travel import inside, main_file
from move37.sandbox.job import MIB, Job, Limits

CHECKPOINT, REPORT, ANSWERS = "checkpoint.safetensors", "report.json", "answers.safetensors"
LARGEST_CHECKPOINT = 32 * MIB

Tokens = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The fixed network around a mixer."""

    kind: str  # "bytes" (rung 2) or "probe" (rung 1)
    vocabulary: int = 256
    total_steps: int = 500  # that the learning-rate schedule is laid out for
    ceiling: float = float("inf")  # smoothed training loss, nats, above which a training has diverged
    enough: float | None = None  # training accuracy that ends a probe early


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One stretch of a training: from step `first` to `stop`."""

    seed: int
    first: int
    stop: int
    learning_rate: float  # peak
    inputs: Tokens  # [stop - first, batch, time]
    targets: Tokens  # same shape; -1 where no answer is due
    checkpoint: bytes | None  # of step `first`; None at 0


def train_job(candidate: Candidate, network: Network, stretch: Stretch, *, trust: str, wall_seconds: float) -> Job:
    """Train over `stretch`; collects the checkpoint and the report."""
    spec = {
        "mode": "train",
        "seed": stretch.seed,
        "network": {"kind": network.kind, "vocabulary": network.vocabulary},
        "first": stretch.first,
        "stop": stretch.stop,
        "total": network.total_steps,
        "peak": stretch.learning_rate,
        "ceiling": network.ceiling,
        "enough": network.enough,
    }
    steps = {"inputs": stretch.inputs.astype(np.uint8), "targets": stretch.targets.astype(np.int16)}
    files = {"steps.safetensors": save(steps)}
    if stretch.checkpoint is not None:
        files[CHECKPOINT] = stretch.checkpoint
    return _job(
        candidate, spec, files, trust=trust, collect=(CHECKPOINT, REPORT), result_bytes=LARGEST_CHECKPOINT + MIB,
        wall_seconds=wall_seconds,
    )  # fmt: skip


def answer_job(
    candidate: Candidate, network: Network, weights: bytes, inputs: Mapping[str, Tokens], *, trust: str,
    wall_seconds: float,
) -> Job:  # fmt: skip
    """Turn each of `inputs` ([rows, time]) into log-probabilities; collects [rows, time, vocabulary] in fp16."""
    spec = {"mode": "answer", "seed": 0, "network": {"kind": network.kind, "vocabulary": network.vocabulary}}
    files = {
        "weights.safetensors": weights,
        "inputs.safetensors": save({n: t.astype(np.uint8) for n, t in inputs.items()}),
    }
    size = sum(t.size for t in inputs.values()) * network.vocabulary * 2
    return _job(
        candidate, spec, files, trust=trust, collect=(ANSWERS,), result_bytes=size + MIB, wall_seconds=wall_seconds
    )


def _job(
    candidate: Candidate, spec: Mapping[str, Any], files: Mapping[str, bytes], *, trust: str, collect: tuple[str, ...],
    result_bytes: int, wall_seconds: float,
) -> Job:  # fmt: skip
    return Job(
        id=f"{trust}-{spec['mode']}-{uuid.uuid4().hex[:8]}",
        trust=trust,
        argv=("python", "main.py"),
        files={
            **inside(),
            **main_file("move37.lab.training.entry"),
            **files,
            "spec.json": json.dumps(spec).encode(),
            "candidate.py": candidate.source.encode(),
        },
        collect=collect,
        limits=Limits(
            wall_seconds=wall_seconds,
            output_bytes=MIB,
            file_bytes=result_bytes,
            result_bytes=result_bytes,
        ),  # the disk is the default one: members are kept warm for it, and only for it
    )
