"""Score trained weights: nats of each target, and whether the network reads ahead. The trusted process.

Tokens and targets are here; the candidate's process gets the outputs of the layer below, and only per-window sums leave
the job. Prefixes are computed in a process that never had the whole windows: windows cut at every length, a few for
each, all different, so that no prefix holds another's future; a few stay whole. At the end of a prefix both answers
must be equal.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from move37.lab.inside import loop
from move37.lab.inside.job import InsideJob

NO_ANSWER = -1
ROWS = 32  # sequences in one forward pass
MOST_CUTS = 255  # lengths at which a window is cut: all of the CPU scale's and of the small one's
PREFIX_ROWS = 4  # windows for each length
LARGEST_GAP = 0.05  # nats at one position; other chunks at another length explain .002
LARGEST_ADVANTAGE = 0.002  # nats a position that knowing the future gains on average; .003 bits per byte


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAnswers:
    """Of every position [rows, time]; 0 where no answer is due."""

    nats: Tensor  # float64
    right: Tensor  # whether the best answer is the target


def score(job: InsideJob) -> None:
    """Leaves nats, right answers and answers due of each window, float64 and int64 [rows]."""
    model, windows = job.built.model, load_file("windows.safetensors")
    inputs, targets = (windows[name].long().to(job.device.kind) for name in ("inputs", "targets"))
    loop.load_weights(model, load_file("weights.safetensors"))
    model.eval()
    found = _answers(job, inputs, targets)
    finite = bool(found.nats.isfinite().all())
    problem = ""
    if finite and job.spec["prefixes"]:
        problem = reads_ahead(job, inputs, targets, found.nats)

    def save(out: Path) -> Mapping[str, Any]:
        due = (targets != NO_ANSWER).sum(-1).cpu()
        tensors = {"nats": found.nats.sum(-1), "right": found.right.sum(-1), "due": due}
        save_file(tensors, str(out / "scores.safetensors"))
        return {"diverged": not finite, "reads_ahead": problem}

    job.leave(save)


def _answers(job: InsideJob, inputs: Tensor, targets: Tensor) -> ScoredAnswers:
    nats, right = [], []
    for mixer in job.built.mixers:
        mixer.mode = "inference"
    with torch.inference_mode():
        for rows, due in zip(torch.split(inputs, ROWS), torch.split(targets, ROWS), strict=True):
            logits = job.built.model(rows).float()
            losses = cross_entropy(logits.flatten(0, 1), due.flatten(), ignore_index=NO_ANSWER, reduction="none")
            nats.append(losses.view(due.shape).double())
            right.append((logits.argmax(-1) == due) & (due != NO_ANSWER))
    return ScoredAnswers(nats=torch.cat(nats).cpu(), right=torch.cat(right).cpu())


def reads_ahead(job: InsideJob, inputs: Tensor, targets: Tensor, whole: Tensor) -> str:
    """How the answers with the future in sight (`whole`, nats) differ from those without; empty where they agree.

    Behind the last answer stands no future: what it differs by comes from other rows or from earlier calls.
    """
    cut_off, complete = [torch.zeros(0, dtype=torch.float64)], [torch.zeros(0, dtype=torch.float64)]
    for group in _groups(len(inputs), inputs.shape[1]):
        fresh = job.fresh()
        for mixer in job.built.mixers:
            mixer.remote = fresh
        for cut, rows in group:
            alone = _answers(job, inputs[rows, :cut], targets[rows, :cut])
            due = (targets[rows, cut - 1] != NO_ANSWER).cpu()
            found = complete if cut == inputs.shape[1] else cut_off
            found.append((alone.nats[:, -1] - whole[rows, cut - 1])[due])
        fresh.end()
    if differ := _apart(torch.cat(cut_off)):
        return f"reads the future: where it is cut off, the answers {differ}"
    if differ := _apart(torch.cat(complete)):
        return f"rests on other rows or earlier calls: in another company, the last answers {differ}"
    return ""


def _apart(gap: Tensor) -> str:
    """In words; empty where it is allowed."""
    most, mean = (float(gap.abs().max()), float(gap.mean())) if gap.numel() else (0.0, 0.0)
    if most <= LARGEST_GAP and mean <= LARGEST_ADVANTAGE:
        return ""
    return (
        f"differ by up to {most:.3g} nats ({mean:+.3g} on average), at most {LARGEST_GAP} ({LARGEST_ADVANTAGE}) "
        "is allowed"
    )


def _groups(count: int, length: int) -> list[list[tuple[int, Tensor]]]:
    """Lengths to `length` (all, or drawn ones of a long context) with the windows to be cut there, by process.

    No process gets a window twice. A whole window shows what its last answer has of other rows and earlier calls.
    """
    lengths = min(length, MOST_CUTS)
    each = max(1, min(PREFIX_ROWS, count // lengths))
    draw = random.SystemRandom()
    cuts = draw.sample(range(1, length + 1), lengths)
    groups = []
    for first in range(0, len(cuts), max(1, count // each)):
        order = torch.tensor(draw.sample(range(count), count))
        part = cuts[first : first + count // each]
        groups.append([(cut, order[i * each : (i + 1) * each]) for i, cut in enumerate(part)])
    return groups
