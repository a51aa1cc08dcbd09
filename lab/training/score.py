"""Judge weights outside: a second job answers, this file scores. NumPy only; nothing of the candidate runs here.

Read in this order: `clean_weights` (what came back from a training), `score` (answers -> nats for each position,
with the future physically absent on sampled prefixes), `_answers` (one job, checked), `nats`.
    - the answering job is a process of its own, which finds nothing that a training or another answer left behind
      (docs/decisions/56);
    - prefixes are a job of their own, in rows of other company;
    - each prefix ends at a random length, each from another window; its last position is what is compared.

Not covered: that the weights were trained as the schedule says. The loop refuses a mixer that trains itself, but shares
its process with it; CPU seconds are measured outside and stand beside every number.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from move37.lab.records import Candidate
from move37.lab.training.jobs import ANSWERS, Network, Tokens, answer_job
from move37.lab.training.outcomes import fault
from move37.sandbox.job import Outcome, Status
from move37.sandbox.sandbox import Sandbox

MODEL = "model."
NOT_FINITE = "the weights are not finite"  # a divergence, not a fault
ROWS_A_JOB = 512  # 33 MB of fp16 log-probabilities over 256 bytes at length 128
PREFIX_LENGTHS, PREFIX_ROWS = 16, 16
LARGEST_GAP = 0.1  # nats at one position; fp16 explains 0.02
LARGEST_ADVANTAGE = 0.003  # nats a position that knowing the future gains on average; .004 bits per byte

Nats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What an answering gave: nats for each target, or why not."""

    nats: Nats | None  # [rows, time]
    log_probabilities: NDArray[np.float16] | None  # [rows, time, vocabulary]; kept for probes
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    failure: str = ""  # the candidate's fault
    diverged: bool = False  # answers that are not finite


def clean_weights(checkpoint: bytes, *, most_parameters: int) -> tuple[bytes | None, str]:
    """The model's part of a checkpoint, written anew; or None and why. Finite numbers and nothing else pass."""
    try:
        tensors = load(checkpoint)
    except (SafetensorError, ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        return None, f"the checkpoint is not readable: {error}"
    weights = {name: value for name, value in tensors.items() if name.startswith(MODEL)}
    count = sum(v.size for v in weights.values())
    if not weights or count > most_parameters:
        return None, (
            f"the weights hold {count:,} numbers, at most {most_parameters:,} are allowed: "
            "register constants with persistent=False"
        )
    if not all(np.isfinite(v).all() for v in weights.values()):
        return None, NOT_FINITE
    return save(weights), ""


async def score(
    candidate: Candidate, network: Network, weights: bytes, inputs: Tokens, targets: Tokens, *, experiment: str,
    sandbox: Sandbox, wall_seconds: float, check_prefixes: bool = True,
) -> Scored:  # fmt: skip
    """Answers for `inputs` [rows, time], scored against `targets` (same shape, -1: no answer due)."""
    rows = {f"{i:05d}": inputs[i : i + ROWS_A_JOB] for i in range(0, len(inputs), ROWS_A_JOB)}
    outcomes: list[Outcome] = []

    async def ask(part: Mapping[str, Tokens]) -> tuple[dict[str, NDArray[np.float16]], str]:
        job = answer_job(candidate, network, weights, part, trust=experiment, wall_seconds=wall_seconds)
        outcome = await sandbox.run(job)
        outcomes.append(outcome)
        return await asyncio.to_thread(_answers, outcome, part, network.vocabulary)

    def finished(*, failure: str = "", diverged: bool = False, full: NDArray[np.float16] | None = None) -> Scored:
        return Scored(
            nats=None if full is None else nats(full, targets),
            log_probabilities=full,
            wall_seconds=sum(o.wall_seconds for o in outcomes),
            cpu_seconds=sum(o.cpu_seconds for o in outcomes),
            peak_memory_bytes=max((o.peak_memory_bytes for o in outcomes), default=0),
            failure=failure,
            diverged=diverged,
        )

    parts = []
    for name, part in rows.items():
        answers, failure = await ask({name: part})
        if failure:
            return finished(failure=failure)
        parts.append(answers[name])
    full = np.concatenate(parts)
    if not np.isfinite(full).all():
        return finished(diverged=True)
    if check_prefixes:
        prefixes = sample_prefixes(inputs, np.random.default_rng())
        answers, failure = await ask({n: p.inputs for n, p in prefixes.items()})
        failure = failure or reads_the_future(full, answers, prefixes, targets)
        if failure:
            return finished(failure=failure)
    return finished(full=full)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """Some windows, cut at one length."""

    rows: NDArray[np.int64]  # which windows
    inputs: Tokens  # [rows, length]


def sample_prefixes(inputs: Tokens, rng: np.random.Generator) -> dict[str, Prefix]:
    """Distinct windows in random order, cut at random lengths. `rng` is unseeded in use: nobody can know which."""
    count, length = inputs.shape
    each = min(PREFIX_ROWS, count // PREFIX_LENGTHS) or 1
    order = rng.permutation(count)
    lengths = rng.choice(np.arange(1, length), size=min(PREFIX_LENGTHS, length - 1, count), replace=False)
    prefixes = {}
    for i, cut in enumerate(lengths):
        rows = order[i * each : (i + 1) * each]
        prefixes[f"{i:05d}"] = Prefix(rows=rows, inputs=np.ascontiguousarray(inputs[rows, :cut]))
    return prefixes


def reads_the_future(
    full: NDArray[np.float16], answers: Mapping[str, NDArray[np.float16]], prefixes: Mapping[str, Prefix],
    targets: Tokens,
) -> str:  # fmt: skip
    """Why the full pass cannot be believed, or an empty string: at a prefix's end both must say the same."""
    gaps = []
    for name, prefix in prefixes.items():
        last = prefix.inputs.shape[1] - 1
        due = targets[prefix.rows, last]
        with_future = nats(full[prefix.rows, last : last + 1], due[:, None])
        without = nats(answers[name][:, last : last + 1], due[:, None])
        gaps.append((without - with_future)[due >= 0])
    gap = np.concatenate([g.ravel() for g in gaps])
    if gap.size == 0:
        return ""
    if not np.isfinite(gap).all() or np.abs(gap).max() > LARGEST_GAP or gap.mean() > LARGEST_ADVANTAGE:
        return (
            f"reads the future: where it is cut off, the answers differ by up to {np.abs(gap).max():.3g} nats "
            f"({gap.mean():+.3g} on average), at most {LARGEST_GAP} ({LARGEST_ADVANTAGE}) is allowed"
        )
    return ""


def nats(log_probabilities: NDArray[np.floating[Any]], targets: Tokens) -> Nats:
    """-ln p(target) at each position [rows, time], normalised here; 0 where no answer is due."""
    out = np.zeros(targets.shape)
    for i, row in enumerate(log_probabilities):  # one row at a time keeps the fp32 copy small
        scores = row.astype(np.float32)
        top = scores.max(axis=-1, keepdims=True)
        total = np.log(np.exp(scores - top).sum(axis=-1)) + top[:, 0]
        due = targets[i] >= 0
        chosen = np.take_along_axis(scores, np.where(due, targets[i], 0).astype(np.int64)[:, None], axis=-1)[:, 0]
        out[i] = np.where(due, total - chosen, 0.0)
    return out


def _answers(
    outcome: Outcome, inputs: Mapping[str, Tokens], vocabulary: int
) -> tuple[dict[str, NDArray[np.float16]], str]:
    """The answers of one job by name, shapes and type checked; or the candidate's fault."""
    raw = outcome.files.get(ANSWERS)
    if outcome.status is not Status.DONE or raw is None:
        return {}, fault(outcome, doing="answering with the trained weights")[0]
    try:
        answers = load(raw)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        return {}, f"the answers are not readable: {error}"
    for name, part in inputs.items():
        held = answers.get(name)
        if held is None or held.dtype != np.float16 or held.shape != (*part.shape, vocabulary):
            return {}, "the answers have the wrong names, shape or type"
    return answers, ""
