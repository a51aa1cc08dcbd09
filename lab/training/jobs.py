"""The jobs of a training and of its scoring: files, results and limits. Pure; runs outside the sandbox only.

A training job holds its own batches and perhaps a checkpoint, a scoring job weights and windows. In each a trusted
process of ours has them, and the candidate's process beside it only mixers (`lab/inside`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from move37.lab import baselines
from move37.lab.job_bundle import inside, main_file
from move37.lab.records import Candidate
from move37.lab.scale import CPU, Scale
from move37.lab.training.outcomes import REPORT
from move37.lab.training.sizes import MIXER_MARGIN
from move37.sandbox.job import MIB, Job, Limits

CHECKPOINT, SCORES = "checkpoint.safetensors", "scores.safetensors"
LARGEST_CHECKPOINT = 32 * MIB
BYTES_A_NUMBER = 4
# Of [rows, time, width], that a layer may keep in all three processes: trusted, candidate's, a check's. Gated DeltaNet,
# whose graph is the largest of the baselines', kept 70 at `paper` (docs/figures/lab.md).
TENSORS_A_LAYER = 90
GPU_THREADS = 4  # of the trusted process, which feeds the card
GPU_GIGABYTES = 6  # of host memory for the driver in three processes: trusted, candidate's, a check's; a guess
SEGMENT_TOKENS = 16 * MIB  # tokens of one training job's batches, three bytes each

Tokens = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The fixed network around a mixer."""

    kind: str  # "bytes" (rung 2) or "probe" (rung 1)
    vocabulary: int = 256
    scale: Scale = CPU  # a probe has its width and heads from it, and one layer
    total_steps: int = 500  # that the learning-rate schedule is laid out for
    ceiling: float = float("inf")  # smoothed training loss, nats, above which a training has diverged
    enough: float | None = None  # training accuracy that ends a probe early
    gpus: int = 0  # leased for each of its jobs: 0 or 1

    @property
    def spec(self) -> dict[str, Any]:
        """As the trusted process of a job reads it."""
        sizes = self.scale
        return {
            "kind": self.kind, "vocabulary": self.vocabulary, "width": sizes.width, "heads": sizes.heads,
            "layers": sizes.layers, "parameters": sizes.parameters,
            "mixer_parameters": int(MIXER_MARGIN * baselines.largest(sizes.width, sizes.heads)),
        }  # fmt: skip

    @property
    def limits(self) -> Limits:
        """Of its jobs, less time and results. The CPU scale's are the defaults, for which containers are kept warm."""
        if self.scale.key == CPU.key and not self.gpus:
            return Limits()
        sizes = self.scale
        held = sizes.rows * sizes.context * sizes.width * sizes.layers * BYTES_A_NUMBER * TENSORS_A_LAYER
        gigabytes = 2 + -(-held // (1024 * MIB)) + (GPU_GIGABYTES if self.gpus else 0)
        return Limits(memory_bytes=gigabytes * 1024 * MIB, gpus=self.gpus, threads=GPU_THREADS if self.gpus else 1)

    @property
    def segment_steps(self) -> int:
        """Steps whose batches one job holds. Probes have their own batches, and are one segment."""
        tokens = self.scale.batch * self.scale.context
        return max(1, SEGMENT_TOKENS // tokens) if self.kind == "bytes" else 10**9

    @property
    def largest_checkpoint(self) -> int:
        """Bytes: weights, two moments and their counts, with room for names and buffers."""
        return max(LARGEST_CHECKPOINT, 16 * self.scale.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment of a training: from step `first` to `stop`."""

    seed: int
    first: int
    stop: int
    learning_rate: float  # peak
    inputs: Tokens  # [stop - first, batch, time]
    targets: Tokens  # same shape; -1 where no answer is due
    checkpoint: bytes | None  # of step `first`; None at 0


def train_job(candidate: Candidate, network: Network, segment: Segment, *, trust: str, wall_seconds: float) -> Job:
    """Train over `segment`; collects the checkpoint and the report."""
    spec = {
        "mode": "train",
        "seed": segment.seed,
        "network": network.spec,
        "first": segment.first,
        "stop": segment.stop,
        "total": network.total_steps,
        "warmup": network.scale.warmup,
        "rows": segment.inputs.shape[1] if network.kind == "probe" else network.scale.rows,
        "count": network.scale.key != CPU.key,  # FLOPs: no device of the CPU scale has a peak to compare with
        "peak": segment.learning_rate,
        "ceiling": network.ceiling,
        "enough": network.enough,
    }
    steps = {"inputs": segment.inputs.astype(np.uint8), "targets": segment.targets.astype(np.int16)}
    files = {"steps.safetensors": save(steps)}
    if segment.checkpoint is not None:
        files[CHECKPOINT] = segment.checkpoint
    return _job(
        candidate, network, spec, files, trust=trust, collect=(CHECKPOINT, REPORT), wall_seconds=wall_seconds,
        result_bytes=network.largest_checkpoint + MIB,
    )  # fmt: skip


def score_job(
    candidate: Candidate, network: Network, weights: bytes, inputs: Tokens, targets: Tokens, *, seed: int, trust: str,
    wall_seconds: float, prefixes: bool,
) -> Job:  # fmt: skip
    """Score `inputs` against `targets` ([rows, time], -1 where no answer is due); collects sums for each row.

    `seed` is the training's; `prefixes`: whether to ask for the answers without the future too.
    """
    spec = {
        "mode": "score",
        "seed": seed,
        "network": network.spec,
        "prefixes": prefixes,
    }
    windows = {"inputs": inputs.astype(np.uint8), "targets": targets.astype(np.int16)}
    files = {"weights.safetensors": weights, "windows.safetensors": save(windows)}
    return _job(
        candidate, network, spec, files, trust=trust, collect=(SCORES, REPORT), result_bytes=MIB + 64 * len(inputs),
        wall_seconds=wall_seconds,
    )  # fmt: skip


def _job(
    candidate: Candidate, network: Network, spec: Mapping[str, Any], files: Mapping[str, bytes], *, trust: str,
    collect: tuple[str, ...], result_bytes: int, wall_seconds: float,
) -> Job:  # fmt: skip
    return Job(
        id=f"{trust}-{spec['mode']}-{uuid.uuid4().hex[:8]}",
        trust=trust,
        argv=("python", "main.py"),
        files={
            **inside(),
            **main_file("move37.lab.inside.job"),
            **files,
            "spec.json": json.dumps(spec).encode(),
            "candidate.py": candidate.source.encode(),
        },
        collect=collect,
        limits=replace(
            network.limits,
            wall_seconds=wall_seconds,
            output_bytes=MIB,
            file_bytes=result_bytes,
            result_bytes=result_bytes,
        ),  # the default size of the disk: containers are kept warm for that size only
    )
