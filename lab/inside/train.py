"""Train a candidate's mixers in the fixed network. The trusted process; `lab/inside/job.py` starts it.

Tokens, targets, loss and optimiser are here; mixers compute in the candidate's process. At random steps, which it
cannot foresee, its answers are checked with a fresh process (`verify`). Progress leaves as JSON lines on stdout.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from move37.lab.inside import loop
from move37.lab.inside.job import InsideJob
from move37.lab.inside.remote import CandidateFault, Record
from move37.lab.inside.verify import Checks, drawn_steps
from move37.lab.training import schedule
from move37.lab.training.contract import ContractError

NO_ANSWER = -1  # a target that is not scored
REPORT_EVERY = 0.5  # seconds between two progress lines
LONG_ENOUGH = 10  # steps in a row above the early stop's accuracy


def train(job: InsideJob) -> None:
    """From step `first` to `stop`; leaves a checkpoint and where the training ended."""
    spec, model, mixers = job.spec, job.built.model, job.built.mixers
    tensors = load_file("steps.safetensors")
    inputs, targets = tensors["inputs"].long(), tensors["targets"].long()  # [steps, batch, time]
    first, stop, correct = spec["first"], spec["stop"], _Streak(spec["enough"])
    draw = random.SystemRandom()
    saved = load_file("checkpoint.safetensors") if first else {}
    if first:
        loop.load_weights(model, saved)
    else:
        job.check_conformity(seed=draw.getrandbits(31))
    inputs, targets = inputs.to(job.device.kind), targets.to(job.device.kind)
    rows = spec["rows"]  # sequences of one pass
    checks = Checks(fresh=job.fresh, shifts=not job.declared, draw=draw)
    checked = drawn_steps(first, stop, draw)
    progress = _Progress(stop=stop)

    records: list[Record] = []  # of the part of a step that is checked, one a layer

    def loss_at(step: int) -> Iterator[Tensor]:
        whole, due = targets[step - first], (targets[step - first] != NO_ANSWER).sum()
        parts = list(zip(inputs[step - first].split(rows), whole.split(rows), strict=True))
        recorded = draw.randrange(len(parts)) if step in checked else None
        secret = hashlib.sha256(model.embedding.weight.detach().cpu().numpy().tobytes())
        for part, (read, answers) in enumerate(parts):
            for mixer in mixers:  # dropout must be the same in a continued training
                mixer.seed = _generator_seed(secret, mixer.number, part)
                mixer.records = []  # on every step, as timing would show which is checked
            with job.device.autocast():
                logits = model(read).float()
            correct.see(logits, answers)
            loss = cross_entropy(logits.flatten(0, 1), answers.flatten(), ignore_index=NO_ANSWER)
            yield loss if len(parts) == 1 else loss * ((answers != NO_ANSWER).sum() / due)
            if part == recorded:
                records[:] = [mixer.records[0] for mixer in mixers if mixer.records]

    def before_step(step: int) -> None:
        if step in checked:
            checks.check(step, records)
            records.clear()

    def on_step(done: int, loss: float) -> bool:
        progress.tell(done, loss)
        return correct.long_enough

    def rate(step: int) -> float:
        return schedule.learning_rate(step, peak=spec["peak"], total=spec["total"], warmup=spec["warmup"])

    model.train()
    began = time.monotonic()
    fitted, optimiser = loop.fit(
        model, loss_at, first=first, stop=stop, rate=rate, saved=saved, ceiling=spec["ceiling"],
        before_step=before_step, on_step=on_step,
    )  # fmt: skip
    speed = {
        "seconds": time.monotonic() - began, "steps": fitted.step - first, "peak_flops": job.device.peak_flops,
        "flops_per_token": flops_per_token(job, inputs.shape[2]) if spec["count"] else 0.0,
    }  # fmt: skip

    def save(out: Path) -> Mapping[str, Any]:
        save_file(loop.packed(model, optimiser, fitted.smooth), str(out / "checkpoint.safetensors"))
        return {"step": fitted.step, "diverged": fitted.diverged, "checked": len(checked), **speed}

    job.leave(save)


def _generator_seed(secret: hashlib._Hash, layer: int, part: int) -> int:
    """Of torch's generator for one layer's pass, so that layers cannot talk through it. The same in each repetition.

    `secret`: from weights that the candidate's process does not have; a simpler seed would reveal the step's number.
    """
    digest = secret.copy()
    digest.update(layer.to_bytes(4, "big") + part.to_bytes(4, "big"))
    return int.from_bytes(digest.digest()[:7], "big")


def flops_per_token(job: InsideJob, time_steps: int) -> float:
    """Of forward and backward (three forward passes), for `time_steps` tokens in a row. Products alone are counted.

    Mixers are counted in a candidate's process, which could forge it: the number is shown, and nothing is ranked by it.
    0 where it cannot be counted.
    """
    network, built = job.spec["network"], job.built
    fixed = 2.0 * sum(p.numel() for name, p in built.model.named_parameters() if ".mlp." in name)
    fixed += 2.0 * network["vocabulary"] * built.d_model  # the head, tied to the embedding
    fresh = job.fresh()
    try:
        reply, _ = fresh.ask({"do": "count", "layer": 0}, [torch.randn(1, time_steps, built.d_model)])
        mixers = len(built.mixers) * float(reply["counts"]["flops"]) / time_steps
    except (CandidateFault, ContractError, KeyError, TypeError, ValueError):
        return 0.0
    finally:
        fresh.end()
    return float(3.0 * (fixed + mixers))


class _Streak:
    """Enough steps in a row with a training accuracy above `enough` (None: never)."""

    def __init__(self, enough: float | None) -> None:
        self.enough, self.count = enough, 0

    def see(self, logits: Tensor, targets: Tensor) -> None:
        if self.enough is None:
            return
        due = targets != NO_ANSWER
        right = (logits.detach().argmax(-1) == targets)[due].float().mean()
        self.count = self.count + 1 if float(right) > self.enough else 0

    @property
    def long_enough(self) -> bool:
        return self.count >= LONG_ENOUGH


class _Progress:
    """Prints progress as JSON lines, at most every `REPORT_EVERY` seconds, and at the end."""

    def __init__(self, *, stop: int) -> None:
        self.stop, self.told = stop, 0.0

    def tell(self, done: int, loss: float) -> None:
        now = time.monotonic()
        if now - self.told >= REPORT_EVERY or done == self.stop:
            self.told = now
            print(json.dumps({"step": done, "loss": loss}), flush=True)  # noqa: T201  (the job's own channel)
