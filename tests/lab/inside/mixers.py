"""Mixers for tests of the split, honest and not, and the training loop in one process that the split must equal."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from move37.lab.inside import loop
from move37.lab.inside.network import ByteModel, count, fit_mlp_width
from move37.lab.training import schedule
from move37.lab.training.contract import load_mixer
from move37.lab.training.sizes import D_MODEL, N_HEADS

HONEST = """
import torch
from torch import nn

class Mixer(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        self.now = nn.Linear(d_model, d_model, bias=False)
        self.before = nn.Linear(d_model, d_model, bias=False)
        self.register_buffer("taps", torch.ones(3))

    def forward(self, x):
        shifted = torch.nn.functional.pad(x, (0, 0, 1, 0))[:, :-1]
        return self.now(torch.tanh(x)) + self.before(shifted)
"""


def with_forward(lines: str) -> str:
    """The honest mixer with `lines` before its last one, which see `self`, `x` and `shifted`."""
    return HONEST.replace(
        "        return", "\n".join(f"        {line}" for line in lines.splitlines()) + "\n        return"
    )


def batches(steps: int) -> tuple[Tensor, Tensor]:
    """Random bytes with some structure: [steps, 16, 128] inputs and the next byte of each."""
    generator = torch.Generator().manual_seed(0)
    text = torch.randint(97, 105, (steps, 16, 129), generator=generator)
    text[..., 1::3] = text[..., 0:-1:3]
    return text[..., :-1], text[..., 1:]


def in_one_process(source: str, steps: int, *, seed: int = 0) -> tuple[list[float], dict[str, Tensor]]:
    """Losses and final weights of the loop with the candidate in it: what a split training must equal bit for bit."""
    mixer = load_mixer(source)
    width = fit_mlp_width(count(mixer(D_MODEL, N_HEADS)))
    torch.manual_seed(seed)
    return fitted(ByteModel(mixer, mlp_width=width), steps)


def fitted(model: nn.Module, steps: int) -> tuple[list[float], dict[str, Tensor]]:
    """Train; losses and final weights."""
    inputs, targets = batches(steps)
    losses: list[float] = []

    def on_step(done: int, loss: float) -> bool:
        losses.append(loss)
        return False

    model.train()
    loop.fit(
        model, lambda step: cross_entropy(model(inputs[step]).flatten(0, 1), targets[step].flatten()), first=0,
        stop=steps, rate=lambda step: schedule.learning_rate(step, peak=1e-2), saved={}, ceiling=99.0, on_step=on_step,
    )  # fmt: skip
    return losses, {name: value.detach().clone() for name, value in model.state_dict().items()}
