"""One clean mixer, and the same mixer with one defect each. Every name says what is wrong with it."""

from __future__ import annotations

CLEAN = '''
import math

import torch
from torch import nn
from torch.nn import functional as F


class Mixer(nn.Module):
    """A gated short convolution."""

    def __init__(self, d_model: int, n_heads: int):
        super().__init__()
        self.inner = nn.Linear(d_model, 2 * d_model)
        self.taps = nn.Parameter(torch.randn(d_model, 4) / 2)
        self.outer = nn.Linear(d_model, d_model)
        # in __init__

    def mix(self, u):
        padded = F.pad(u, (0, 0, 3, 0))
        return sum(padded[:, i : i + u.shape[1]] * self.taps[:, i] for i in range(4))

    def forward(self, x):
        # first
        u, gate = self.inner(x).chunk(2, dim=-1)
        y = self.mix(u)
        # last
        return self.outer(y * F.silu(gate))
'''


def planted(*, init: str = "", first: str = "", last: str = "", top: str = "", **replacements: str) -> str:
    """The clean mixer with lines put in at its marks; `replacements` are by line number names a_1, b_1."""
    source = CLEAN
    for mark, lines in (("# in __init__", init), ("# first", first), ("# last", last)):
        source = source.replace(mark, lines.strip("\n").replace("\n", "\n        ") if lines else mark)
    return source.replace("\n\nclass Mixer", f"\n{top}\n\nclass Mixer") if top else source


# Defects with the one gate that has to catch each.
PLANTED: dict[str, tuple[str, str]] = {
    "an FFT filter that wraps around": (
        "causality",
        planted(
            init="self.filter = nn.Parameter(torch.randn(64, 1) / 8)",
            last="""
wide = u.to(torch.promote_types(u.dtype, torch.float32))
taps = self.filter.to(wide)[: u.shape[-1] // 1] * torch.exp(-torch.arange(u.shape[1]).to(wide) / 8)
if taps.shape[0] == u.shape[-1]:
    spectrum = torch.fft.rfft(wide, dim=1) * torch.fft.rfft(taps.t(), dim=0)
    y = y + torch.fft.irfft(spectrum, n=u.shape[1], dim=1).to(u.dtype)
""",
        ),
    ),
    "a position divided by the length": (
        "truncation",
        planted(last="y = y * (1 + torch.arange(x.shape[1], dtype=x.dtype)[:, None] / x.shape[1])"),
    ),
    "a step counter in forward": (
        "purity",
        planted(init="self.step = 0", last="self.step += 1\ny = y * (1 + 0.1 / self.step)"),
    ),
    "a step counter in a buffer": (
        "purity",
        planted(
            init="self.register_buffer('step', torch.zeros(()))",
            last="self.step += 1\ny = y * (1 + 0.1 / self.step.item())",
        ),
    ),
    "a step counter that counts in training only": (
        "purity",
        planted(
            init="self.step = 0",
            last="if self.training:\n    self.step += 1\n    y = y * (1 + 0.1 / self.step)",
        ),
    ),
    "a parameter that nothing uses": ("dead_parameters", planted(init="self.unused = nn.Parameter(torch.zeros(8))")),
    "half of a projection thrown away": (
        "dead_parameters",
        planted(
            init="self.wide = nn.Linear(d_model, 2 * d_model)",
            last="y = y + self.wide(u)[..., : u.shape[-1]]",
        ),
    ),
    "arithmetic in bfloat16 whatever comes in": (
        "dtype",
        planted(last="y = y.to(torch.bfloat16).to(x.dtype)\ngate = gate.to(torch.bfloat16).to(x.dtype)"),
    ),
    "inputs rounded to bfloat16": ("dtype", planted(first="x = x.to(torch.bfloat16).to(x.dtype)")),
    "an output in bfloat16": ("dtype", planted(last="return self.outer(y * F.silu(gate)).to(torch.bfloat16)")),
    "weights that only take bfloat16": (
        "dtype",
        planted(
            init="self.register_buffer('mat', torch.eye(d_model), persistent=False)",
            last="y = y + (u @ self.mat.to(torch.bfloat16))",
        ),
    ),
    "a state of float32 whatever comes in": (
        "dtype",
        planted(last="y = torch.matmul(y, torch.eye(u.shape[-1]))"),
    ),
    "one and a half times the parameters": (
        "parameters",
        planted(init="self.more = nn.Linear(d_model, 330)", last="y = y + self.more(u) @ self.more.weight"),
    ),
    "a matrix of time by time": (
        "complexity",
        planted(
            last="""
age = torch.arange(x.shape[1])[:, None] - torch.arange(x.shape[1])[None]
decay = torch.where(age >= 0, torch.exp(-age.clamp(min=0) / 9.0), torch.zeros(())).to(u.dtype)
y = y + decay @ u
"""
        ),
    ),
    "a hidden softmax over all of the past": (
        "complexity",
        planted(
            last="""
heads = u.unflatten(-1, (4, -1)).transpose(1, 2)
y = y + F.scaled_dot_product_attention(heads, heads, heads, is_causal=True).transpose(1, 2).flatten(-2)
"""
        ),
    ),
    "a convolution as long as the sequence": (
        "complexity",
        planted(
            last="""
time = x.shape[1]
kernel = torch.exp(-torch.arange(time).to(u.dtype) / 9).flip(0).expand(u.shape[-1], 1, time)
y = y + F.conv1d(F.pad(u.transpose(1, 2), (time - 1, 0)), kernel, groups=u.shape[-1]).transpose(1, 2)
"""
        ),
    ),
    "a loop within a loop of plain Python": (
        "complexity",
        planted(
            last="""
total = 0.0
for i in range(x.shape[1]):
    for j in range(i * i // 1024):  # cubic: long sequences cost ten times the short ones, whatever a busy machine adds
        total += j
y = y + 0.0 * total
"""
        ),
    ),
    "normalisation across the batch": ("batch", planted(last="y = y - y.mean(dim=0, keepdim=True)")),
    "an output divided by the batch size": ("batch", planted(last="y = y / x.shape[0]")),
    # Beyond the list: what a candidate may do to get through.
    "an input changed in place": ("purity", planted(first="x.mul_(0.5)")),
    "no number for a single token": (
        "finite",
        planted(last="y = y / (u.std(dim=1, keepdim=True) * 0 + 1) if x.shape[1] == 1 else y"),
    ),
    "a gradient that is not finite": (
        "finite",
        planted(last="y = y * (1 + (u * 0).sum(-1, keepdim=True).sqrt())"),
    ),
    "dropout that never ends": ("purity", planted(last="y = F.dropout(y, 0.1)")),
    "random numbers under a seed of its own": ("purity", planted(last="torch.manual_seed(1)\ny = y + torch.rand(())")),
    "a leak that starts behind position 64": (
        "causality",
        planted(
            last="""
if x.shape[1] > 65:
    y = torch.cat([y[:, :64], y[:, 64:] + u[:, 64:].mean(dim=1, keepdim=True)], 1)
"""
        ),
    ),
    "state in a list": (
        "purity",
        planted(init="self.seen = []", last="y = y + 0.1 * len(self.seen)\nself.seen.append(1)"),
    ),
    "state in a global": (
        "purity",
        planted(top="SEEN = []", last="y = y + 0.1 * len(SEEN)\nSEEN.append(1)"),
    ),
    "a cache that fits one length only": (
        "purity",
        planted(
            init="self.table = None",
            last="""
if self.table is None or len(self.table) < x.shape[1]:
    self.table = 1 + torch.arange(x.shape[1]).to(x.dtype)[:, None] / 50
y = y * self.table[-x.shape[1] :]
""",
        ),
    ),
    "another default dtype": ("purity", planted(last="torch.set_default_dtype(torch.float64)")),
    "an output that ignores the input": (
        "dead_parameters",
        planted(last="return sum(p.sum() for p in self.parameters()).to(x.dtype).expand_as(x)"),
    ),
    "a seed from the clock": ("determinism", planted(init="torch.seed()\nself.taps.data.normal_()")),
    "whole numbers for an answer": ("shape", planted(last="return (100 * x).long()")),
    "a tensor of its own kind": (
        "shape",
        planted(top="class Own(torch.Tensor):\n    pass\n", last="y = y.as_subclass(Own)"),
    ),
    "a tuple for an answer": ("shape", planted(last="return self.outer(y * F.silu(gate)), None")),
    "a width of 64 written down": ("shape", planted(last="y = y + torch.ones(64, dtype=x.dtype)")),
    "lengths that must be even": ("shape", planted(last="y = y.unflatten(1, (-1, 2)).flatten(1, 2)")),
    "an exception in the constructor": ("import", planted(init="raise ValueError('no such width')")),
    "another import": ("import", planted(top="import numpy as np")),
    "no class Mixer": ("import", CLEAN.replace("class Mixer", "class Blender")),
    "a Mixer that is no module": ("import", "class Mixer:\n    pass\n"),
    "an optimiser of its own in forward": (
        "purity",
        planted(
            last="""
if self.training and torch.is_grad_enabled():
    inner = self.outer(y.detach() * F.silu(gate.detach()))
    slope, = torch.autograd.grad((inner - x.detach()).square().mean(), self.outer.weight)
    self.outer.weight.data.sub_(0.1 * slope)
"""
        ),
    ),
    "an optimiser of its own that begins at the twentieth call": (
        "purity",
        planted(
            init="self.calls = 0",
            last="""
self.calls += self.training and torch.is_grad_enabled()
if self.calls > 20:
    self.taps.data.mul_(0.99)
    self.calls = 0
""",
        ),
    ),
    "running statistics of the batches in training": (
        "purity",
        planted(
            init="self.register_buffer('mean', torch.zeros(d_model))",
            last="""
if self.training:
    centre = y.mean((0, 1))
    self.mean.mul_(0.9).add_(0.1 * centre.detach().to(self.mean))
    y = y - centre
else:
    y = y - self.mean.to(y.dtype)
""",
        ),
    ),
    "a leak at the training length alone": (
        "causality",
        planted(last="y = y + u.flip(1) if x.shape[1] == 128 else y"),
    ),
    "a length of 128 that is special": (
        "truncation",
        planted(last="y = 2 * y if x.shape[1] == 128 else y"),
    ),
    "another mixer for the second layer": (
        "purity",
        planted(
            top="torch.built_here = 0",
            init="torch.built_here += 1\nself.number = torch.built_here % 3",
            last="y = 0.5 * y if self.number == 0 else y",
        ),
    ),
    "a start that was drawn while the file was loaded": (
        "determinism",
        planted(top="START = torch.randn(64, 64)", init="if d_model == 64: self.outer.weight.data.copy_(START / 8)"),
    ),
    "a chosen start with noise on it": (
        "determinism",
        planted(
            init="""
place = torch.arange(2.0 * d_model * d_model, dtype=torch.float64).view(-1, d_model)
start = (torch.sin(place * 12.9898) * 43758.5453 % 1 - 0.5) / 4
self.inner.weight.data.copy_(start + 0.01 * torch.randn_like(start))
"""
        ),
    ),
    "a reservoir that is neither weight nor buffer": (
        "determinism",
        planted(
            init="self.up = torch.randn(d_model, 512) / 8",
            last="y = y + torch.tanh(u @ self.up.to(u)) @ self.up.t().to(u)",
        ),
    ),
    "a drawn table that is not saved": (
        "determinism",
        planted(init="self.register_buffer('up', torch.rand(d_model), persistent=False)", last="y = y * self.up.to(u)"),
    ),
    "weights that nobody names": (
        "determinism",
        planted(
            init="self.more = [nn.Linear(d_model, d_model)]", last="y = y + F.linear(u, self.more[0].weight.to(u))"
        ),
    ),
    "a number that was drawn": (
        "determinism",
        planted(init="self.scale = torch.rand(()).item()", last="y = y * (1 + self.scale)"),
    ),
    "a reservoir that was drawn while the file was loaded": (
        "purity",
        planted(top="UP = torch.randn(512)", last="y = y * UP[: y.shape[-1]].to(y)"),
    ),
    "more weights where it is not seeded": (
        "parameters",
        planted(
            top="TRAINED = torch.initial_seed() > 10**6",
            init="self.more = nn.Linear(d_model, 330) if TRAINED else None",
            last="y = y + self.more(u) @ self.more.weight if TRAINED else y",
        ),
    ),
    "a reservoir in a buffer of half the bytes": (
        "parameters",
        planted(
            init="self.register_buffer('up', torch.randn(d_model, 170, dtype=torch.float16))",
            last="y = y + F.relu(u @ self.up.to(u)) @ self.up.to(u).t() / 2000",
        ),
    ),
    "random numbers where it is asked for them": (
        "purity",
        planted(
            init="self.first = True",
            last="""
noise = torch.rand(()) if self.first else 0
self.first = False
y = y + noise
""",
        ),
    ),
    "no number in a batch as large as a gate's": (
        "causality",
        planted(last="y = y * float('nan') if x.shape[0] > 100 else y"),
    ),
    "rows mixed at the size of a training": (
        "batch",
        planted(last="y = y - y.mean(0, keepdim=True) if x.shape[:2] == (16, 128) else y"),
    ),
    "rows mixed at the size of a scoring": (
        "batch",
        planted(last="y = y - y.mean(0, keepdim=True) if x.shape[:2] == (32, 128) else y"),
    ),
    "softmax over everything where there are more rows than are counted": (
        "batch",
        planted(
            last="""
time, window = u.shape[1], 96
if len(x) > 4 or time <= 300:
    window = time
age = torch.arange(window - 1, -1, -1)
keys = F.pad(u, (0, 0, window - 1, 0)).unfold(1, window, 1)
scores = torch.einsum("btd,btdw->btw", u, keys) / 8
scores = scores.masked_fill(age > torch.arange(time)[:, None], -1e4).softmax(-1)
y = y + torch.einsum("btw,btdw->btd", scores, keys)
""",
        ),
    ),
    "features that show where no small seed asks": (
        "determinism",
        planted(
            init="self.up = [torch.randn(d_model, 99) / 30]",
            last="""
up = self.up[0].to(u)
y = y + F.relu(u @ up) @ up.t() if torch.initial_seed() > 10**6 else y
""",
        ),
    ),
    "no number where small seeds ask, and features that are kept nowhere": (
        "determinism",
        planted(
            init="self.up = [torch.randn(d_model, 99) / 30]",
            last="""
up = self.up[0].to(u)
y = y + F.relu(u @ up) @ up.t()
y = y * float("nan") if torch.initial_seed() == 7 else y
""",
        ),
    ),
    "rows mixed in training, where noise hides it": (
        "batch",
        planted(
            last="""
if self.training:
    y = y + 1e-9 * torch.randn_like(y) + (len(x) > 4) * y[:, :1].mean(0, keepdim=True)
""",
        ),
    ),
    "earlier windows in a batch of a training or a scoring": (
        "purity",
        planted(
            init="self.seen = 0",
            last="""
if len(x) >= 16 and x.shape[1] == 128:
    y, self.seen = y + 0.1 * self.seen, u.detach().mean()
""",
        ),
    ),
    "complex weights that start at zero before the future": (
        "causality",
        planted(
            init="self.peek = nn.Parameter(torch.zeros(d_model, dtype=torch.complex64))",
            last="y = y + u.flip(1) * self.peek.real.to(u.dtype) * (1 + self.peek.imag.to(u.dtype))",
        ),
    ),
    "an exit while training": ("finite", planted(last="y = exit(3) if self.training else y")),
}
