"""Beside the candidate: train it, or answer with its weights. Travels into the sandbox; torch and our own files only.

`spec.json` says what to do, tensors come and go as safetensors, and progress leaves as JSON lines on stdout.
    train     steps.safetensors [, checkpoint.safetensors]   -> checkpoint.safetensors, report.json
    answer    weights.safetensors, inputs.safetensors        -> answers.safetensors (fp16 log-probabilities)
Nothing that this process says counts before it was checked elsewhere (`lab/training/score.py`). Exceptions of the
candidate leave as tracebacks.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from move37.lab.training import blindfold, loop, schedule
from move37.lab.training.contract import ContractError, load_mixer
from move37.lab.training.model import ByteModel, ProbeModel, count
from move37.lab.training.sizes import D_MODEL, N_HEADS, fit_mlp_width

NO_ANSWER = -1  # a target that is not scored
REPORT_EVERY = 0.5  # seconds between two progress lines
ROWS = 32  # sequences in one forward pass when answering
LONG_ENOUGH = 10  # steps in a row above the early stop's accuracy
STEPS_A_SEED = 1_000_003  # more than any training has
LOWEST = -6e4  # fp16 ends at 65504


def main() -> None:
    """Do what spec.json says."""
    torch.set_num_threads(1)
    blindfold.put_on()
    spec: dict[str, Any] = json.loads(Path("spec.json").read_text())
    model = build(Path("candidate.py").read_text(), spec["network"], seed=spec["seed"])
    if spec["mode"] == "train":
        train(model, spec)
    else:
        answer(model)


def build(source: str, network: Mapping[str, Any], *, seed: int) -> nn.Module:
    """The task's fixed network around the candidate's mixer, with the weights that `seed` gives."""
    mixer = load_mixer(source)
    width = fit_mlp_width(count(mixer(D_MODEL, N_HEADS))) if network["kind"] == "bytes" else 0
    torch.manual_seed(seed)  # here, so that what was drawn for counting changes nothing
    if network["kind"] != "bytes":
        return ProbeModel(mixer, vocab=network["vocabulary"])
    model = ByteModel(mixer, mlp_width=width)
    if any(fit_mlp_width(count(block.get_submodule("mixer"))) != width for block in model.blocks):
        raise ContractError("Mixer has another number of parameters when it is built again: the MLP makes up for one")
    return model


def train(model: nn.Module, spec: Mapping[str, Any]) -> None:
    """From step `first` to `stop`; leaves a checkpoint and where the training ended."""
    tensors = load_file("steps.safetensors")
    inputs, targets = tensors["inputs"].long(), tensors["targets"].long()  # [steps, batch, time]
    first, correct = spec["first"], _Streak(spec["enough"])
    saved = load_file("checkpoint.safetensors") if first else {}
    if first:
        loop.load_weights(model, saved)
    progress = _Progress(stop=spec["stop"])

    def loss_at(step: int) -> Tensor:
        torch.manual_seed(STEPS_A_SEED * spec["seed"] + step)  # dropout: the same whether this is continued or not
        logits = model(inputs[step - first])
        correct.see(logits, targets[step - first])
        return cross_entropy(logits.flatten(0, 1), targets[step - first].flatten(), ignore_index=NO_ANSWER)

    def on_step(done: int, loss: float) -> bool:
        progress.tell(done, loss)
        return correct.long_enough

    def rate(step: int) -> float:
        return schedule.learning_rate(step, peak=spec["peak"], total=spec["total"])

    model.train()
    fitted, optimiser = loop.fit(
        model, loss_at, first=first, stop=spec["stop"], rate=rate, saved=saved, ceiling=spec["ceiling"], on_step=on_step
    )
    out = Path(os.environ["MOVE37_OUT"])
    save_file(loop.packed(model, optimiser, fitted.smooth), str(out / "checkpoint.safetensors"))
    (out / "report.json").write_text(json.dumps({"step": fitted.step, "diverged": fitted.diverged}))


def answer(model: nn.Module) -> None:
    """Log-probabilities [rows, time, vocabulary] in fp16 for each tensor of inputs [rows, time], under its name."""
    loop.load_weights(model, load_file("weights.safetensors"))
    model.eval()
    answers = {}
    with torch.inference_mode():
        for name, inputs in load_file("inputs.safetensors").items():
            parts = [log_softmax(model(rows.long()).float(), dim=-1) for rows in inputs.split(ROWS)]
            answers[name] = torch.cat([p.clamp_min(LOWEST).half() for p in parts])
    save_file(answers, str(Path(os.environ["MOVE37_OUT"]) / "answers.safetensors"))


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
    """A JSON line now and then, and at the end."""

    def __init__(self, *, stop: int) -> None:
        self.stop, self.told = stop, 0.0

    def tell(self, done: int, loss: float) -> None:
        now = time.monotonic()
        if now - self.told >= REPORT_EVERY or done == self.stop:
            self.told = now
            print(json.dumps({"step": done, "loss": loss}), flush=True)
