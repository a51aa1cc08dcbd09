"""Gradients that are not those of the forward pass are found; honest ones, rough ones among them, are not accused."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.lab import baselines
from move37.lab.inside import verify
from move37.lab.inside.remote import Record, Remote, RemoteMixer, build_model, rebuild
from move37.lab.inside.spawner import Spawner
from move37.lab.inside.verify import LEAST, TOLERANCE, Checks, Shift, disagreement, drawn_steps
from move37.lab.training.contract import ContractError
from move37.lab.training.jobs import Network
from tests.lab.inside.mixers import HONEST, batches, with_forward

NETWORK = Network(kind="bytes").spec


def checked(spawner: Spawner, source: str, *, shifts: bool = True, steps: int = 6) -> None:
    """Train a few steps, each of which is checked."""
    remote = Remote(spawner, source)
    built = build_model(remote, NETWORK, seed=0)
    made: list[Remote] = [remote]

    def fresh() -> Remote:
        made.append(Remote(spawner, source))
        rebuild(made[-1], built)
        return made[-1]

    checks = Checks(fresh=fresh, shifts=shifts, draw=random.Random(5))
    inputs, targets = batches(steps)
    optimiser = torch.optim.AdamW(built.model.parameters(), lr=1e-2)
    built.model.train()
    try:
        for step in range(steps):
            optimiser.zero_grad()
            for mixer in built.mixers:
                mixer.seed, mixer.records = step + 100 * mixer.number, []
            logits = built.model(inputs[step])
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets[step].flatten()).backward()
            checks.check(step, [records_of(mixer)[0] for mixer in built.mixers])
            optimiser.step()
    finally:
        for remote in made:
            remote.end()


def records_of(mixer: RemoteMixer) -> list[Record]:
    assert mixer.records is not None
    return mixer.records


ROUGH = {
    "plain": HONEST,
    "dropout": with_forward("x = torch.dropout(x, 0.2, self.training)"),
    "a kink at every zero": with_forward("x = torch.relu(x).square() - torch.relu(-x)"),
    "a sharp softmax": with_forward("x = torch.softmax(8 * x, -1) * 8"),
    "a norm of what is all but zero": with_forward("x = torch.nn.functional.rms_norm(x[..., :1] * x, x.shape[-1:])"),
    "a hidden cache of its own input": with_forward("self.cache = x.detach()"),
    "weights that start at zero": HONEST.replace(
        'self.register_buffer("taps", torch.ones(3))', "torch.nn.init.zeros_(self.now.weight)"
    ),
    "no gradient for one weight": with_forward("shifted = shifted + 0 * self.before.weight.detach().sum()"),
    "gated delta net": baselines.source("gated_delta_net"),
}


@pytest.mark.parametrize("name", ROUGH)
def test_honest_gradients_are_believed(spawner: Spawner, name: str) -> None:
    checked(spawner, ROUGH[name])


@pytest.mark.parametrize("name", ["a norm of what is all but zero", "a sharp softmax", "gated delta net"])
def test_what_bends_within_the_first_look_is_looked_at_nearer(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(verify, "STEP", 16 * verify.STEP)
    checked(spawner, ROUGH[name], steps=3)
    with pytest.raises(ContractError, match="at training step"):
        checked(spawner, with_forward(FALSE["gradients twice as large"]), steps=3)


HOOK = "if self.now.weight.requires_grad and not hasattr(self, 'hooked'):\n    self.hooked = True\n    "
FALSE = {
    "orthogonal gradients (Muon)": HOOK
    + "[p.register_hook(lambda g: torch.linalg.svd(g)[0] @ torch.linalg.svd(g)[2]) for p in self.parameters()]",
    "gradients of another batch added": HOOK
    + "[p.register_hook(lambda g: g + torch.randn_like(g) * g.std()) for p in self.parameters()]",
    "gradients twice as large": HOOK + "[p.register_hook(lambda g: 2 * g) for p in self.parameters()]",
    "signs instead of gradients": HOOK + "[p.register_hook(lambda g: g.sign()) for p in self.parameters()]",
    "a memory of the batch before": "self.last, x = x.detach(), x + getattr(self, 'last', 0 * x)",
    "a step counter": "self.steps = getattr(self, 'steps', 0) + 1\nx = x * (1 + 0.05 * self.steps)",
    "layers that talk": (
        "kept = torch.__dict__.setdefault('left_here', [])\nkept.append(x.detach())\nx = x + 0.1 * kept[0][:, -1:]"
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_false_gradients_are_found(spawner: Spawner, name: str) -> None:
    with pytest.raises(ContractError, match="at training step"):
        checked(spawner, with_forward(FALSE[name]))


def beside_a_loud_one(slope: float) -> str:
    """Orthogonal gradients for two weights, and a third tensor whose true gradient drowns theirs in any sum."""
    loud = HONEST.replace(
        'self.register_buffer("taps", torch.ones(3))', "self.loud = nn.Parameter(1000 * torch.randn(4096))"
    )
    lines = FALSE["orthogonal gradients (Muon)"].replace("self.parameters()", "(self.now.weight, self.before.weight)")
    indented = "\n".join(f"        {line}" for line in lines.splitlines())
    tone = f"        x = x + 0.3 * x @ torch.sin({slope} * self.loud).reshape(64, 64)"
    return loud.replace("        return", f"{indented}\n{tone}\n        return")


@pytest.mark.parametrize("slope", [0.02, 0.1, 0.2])
def test_a_loud_tensor_does_not_hide_false_gradients_of_others(spawner: Spawner, slope: float) -> None:
    with pytest.raises(ContractError, match="at training step"):
        checked(spawner, beside_a_loud_one(slope), steps=12)


STRAIGHT = with_forward("x = x + (x.sign() - x).detach()")


def test_another_backward_is_found_and_allowed_where_it_is_declared(spawner: Spawner) -> None:
    with pytest.raises(ContractError, match="custom_backward"):
        checked(spawner, STRAIGHT)
    checked(spawner, STRAIGHT, shifts=False)


def test_who_declares_another_backward_may_still_remember_nothing(spawner: Spawner) -> None:
    with pytest.raises(ContractError, match="nothing may be remembered"):
        checked(spawner, with_forward(FALSE["a step counter"]), shifts=False)


@given(st.integers(0, 500), st.integers(1, 500), st.integers(0, 99))
def test_steps_are_drawn_within_the_segment(first: int, length: int, seed: int) -> None:
    steps = drawn_steps(first, first + length, random.Random(seed))
    assert len(steps) >= min(length, LEAST) and all(first <= step < first + length for step in steps)


@settings(deadline=None)
@given(st.integers(0, 2**31), st.floats(0.5, 2.0))
def test_a_scaled_gradient_disagrees_by_the_scale(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight, x, of_y, move = (torch.randn(8, 8, generator=generator, dtype=torch.float64) for _ in range(4))
    record = Record(
        x=x, y=x @ weight, values=[weight], seed=0, of_y=of_y, of_x=of_y @ weight.T, of_values=[scale * x.T @ of_y]
    )
    move = 1e-3 * move
    off = disagreement(record, Shift(x=None, values=[move]), x @ (weight + move))
    signal = float((x.T @ of_y * move).sum()) / (float((x.T @ of_y).norm()) * float(move.square().mean().sqrt()))
    assert off == pytest.approx(abs(scale - 1) / scale * abs(signal), rel=1e-3, abs=1e-4)
    assert TOLERANCE < 1


PACKED = """
import torch
from torch import nn

class Mixer(nn.Module):
    def __init__(self, d_model, n_heads):
        super().__init__()
        parts = [nn.Linear(d_model, d_model, bias=False).weight.detach().flatten() for _ in range(2)]
        self.all = nn.Parameter(PACK)
        self.hooked = False

    def forward(self, x):
        if not self.hooked:
            self.hooked = True
            self.all.register_hook(false)
        a, b, loud = VIEW
        shifted = torch.nn.functional.pad(x, (0, 0, 1, 0))[:, :-1]
        return torch.tanh(x) @ a.T + shifted @ b.T + 0.3 * x @ torch.sin(200 * loud)

def false(g):
    g = g.clone()
    for part in PARTS:
        u, _, v = torch.linalg.svd(g[part].view(64, 64))
        g[part] = (u @ v * g[part].norm() / 8).flatten()
    return g
"""
LAYOUTS = {
    "one behind the other": (
        "torch.cat([*parts, torch.randn(4096)])",
        "self.all.view(3, 64, 64)",
        "(slice(0, 4096), slice(4096, 8192))",
    ),
    "one between the others": (
        "torch.stack([*parts, torch.randn(4096)], 1).flatten()",
        "self.all.view(64, 64, 3).unbind(-1)",
        "(slice(0, None, 3), slice(1, None, 3))",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_loud_numbers_of_the_same_tensor_hide_no_false_gradient(spawner: Spawner, layout: str) -> None:
    pack, view, parts = LAYOUTS[layout]
    source = PACKED.replace("PACK)", f"{pack})").replace("VIEW", view).replace("PARTS", parts)
    with pytest.raises(ContractError, match="at training step"):
        checked(spawner, source, steps=8)
