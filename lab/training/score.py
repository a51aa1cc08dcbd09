"""Scores trained weights: one job, whose trusted process computes nats; its results are checked and added up here.

Read in this order: `clean_weights` (what came back from a training), `score` (weights and windows -> nats a window).
The scoring itself, prefixes without their future included, is `lab/inside/score.py`. NumPy only; nothing of the
candidate runs here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from move37.lab.records import Candidate
from move37.lab.training.jobs import SCORES, Network, Tokens, score_job
from move37.lab.training.outcomes import fault, read_report, starved
from move37.sandbox.job import Status
from move37.sandbox.sandbox import Sandbox

MODEL = "model."
BYTES_A_NUMBER = 4
NOT_FINITE = "the weights are not finite"  # a divergence, not a fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Of each window, [rows]."""

    nats: NDArray[np.float64]  # -ln p of the targets
    right: NDArray[np.int64]  # targets that were the best answer
    due: NDArray[np.int64]  # targets

    @property
    def mean_nats(self) -> float:
        """Mean nats of a target, over all windows."""
        return float(self.nats.sum() / self.due.sum())

    @property
    def accuracy(self) -> float:
        """Share of the targets."""
        return float(self.right.sum() / self.due.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a scoring gave, or why nothing."""

    sums: Sums | None
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    self_reported: bool = False  # a lock was missing: the candidate could have touched the number
    failure: str = ""  # the candidate's fault
    diverged: bool = False  # answers that are not finite
    starved: bool = False  # it failed for want of processor time


def clean_weights(checkpoint: bytes, *, most_parameters: int) -> tuple[bytes | None, str]:
    """The model's part of a checkpoint, written anew; or None and why. Finite numbers and nothing else pass."""
    try:
        tensors = load(checkpoint)
    except (SafetensorError, ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        return None, f"the checkpoint is not readable: {error}"
    weights = {name: value for name, value in tensors.items() if name.startswith(MODEL)}
    count = sum(v.size * (2 if np.iscomplexobj(v) else 1) for v in weights.values())
    size = sum(v.nbytes for v in weights.values())
    if not weights or count > most_parameters or size > BYTES_A_NUMBER * most_parameters:
        return None, (
            f"the weights hold {count:,} numbers in {size:,} bytes, at most {most_parameters:,} of {BYTES_A_NUMBER} "
            "bytes are allowed: register constants with persistent=False"
        )
    if not all(np.isfinite(v).all() for v in weights.values()):
        return None, NOT_FINITE
    return save(weights), ""


async def score(
    candidate: Candidate, network: Network, weights: bytes, inputs: Tokens, targets: Tokens, *, seed: int,
    experiment: str, sandbox: Sandbox, wall_seconds: float, check_prefixes: bool = True,
) -> Scored:  # fmt: skip
    """Score `inputs` [rows, time] against `targets` (same shape, -1: no answer due). `seed` is the training's."""
    job = score_job(
        candidate, network, weights, inputs, targets, seed=seed, trust=experiment, wall_seconds=wall_seconds,
        prefixes=check_prefixes,
    )  # fmt: skip
    outcome = await sandbox.run(job)
    report, sums = read_report(outcome), _sums(outcome.files.get(SCORES), rows=len(inputs))
    failure = ""
    if outcome.status is not Status.DONE or report is None or sums is None:
        failure = fault(outcome, doing="scoring the trained weights")[0]
    elif report.reads_ahead:
        failure = report.reads_ahead
    diverged = report is not None and report.diverged
    return Scored(
        sums=None if failure or diverged else sums,
        wall_seconds=outcome.wall_seconds,
        cpu_seconds=outcome.cpu_seconds,
        peak_memory_bytes=outcome.peak_memory_bytes,
        self_reported=report is None or report.self_reported,
        failure=failure,
        diverged=diverged,
        starved=starved(outcome),
    )


def _sums(raw: bytes | None, *, rows: int) -> Sums | None:
    """The scores' file, names and shapes checked; None where it is none."""
    try:
        tensors = load(raw or b"")
        sums = Sums(nats=tensors["nats"], right=tensors["right"], due=tensors["due"])
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None
    return sums if all(part.shape == (rows,) for part in (sums.nats, sums.right, sums.due)) else None
