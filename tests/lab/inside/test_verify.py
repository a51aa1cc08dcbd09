"""Gradients that are not those of the forward pass are found; honest ones, rough ones among them, are not accused."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from move37.lab import baselines
from move37.lab.inside import shifts, verify
from move37.lab.inside.building import build_model, rebuild_foreign
from move37.lab.inside.remote import Forward, Record, Remote, RemoteMixer
from move37.lab.inside.shifts import LARGER, LOUD, Said, Shift, audible, disagreement, disagreement_of_sides, said
from move37.lab.inside.spawner import Spawner
from move37.lab.inside.verify import EXPECTED, TOLERANCE, Checks, drawn_steps
from move37.lab.training.contract import ContractError
from move37.lab.training.jobs import Network
from tests.lab.inside.mixers import HONEST, batches, with_forward
from tests.shortened import slow_but

NETWORK = Network(kind="bytes").spec


def checked(spawner: Spawner, source: str, *, shifts: bool = True, steps: int = 6) -> None:
    """Train a few steps, each of which is checked."""
    remote = Remote(spawner, source)
    built = build_model(remote, NETWORK, seed=0)
    made: list[Remote] = [remote]

    def fresh() -> Remote:
        made.append(Remote(spawner, source))
        rebuild_foreign(made[-1], built, seed=77)
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
    "a weight that some steps do without": with_forward(
        "if self.training and torch.rand(()) < 0.5:\n    return self.now(torch.tanh(x)) + 0 * shifted"
    ),
    "gated delta net": baselines.source("gated_delta_net"),
}
SOME_ROUGH = ("dropout", "a kink at every zero", "weights that start at zero", "gated delta net")


@pytest.mark.parametrize("name", slow_but(ROUGH, SOME_ROUGH))
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


TURN = HONEST.replace(
    'self.register_buffer("taps", torch.ones(3))',
    "self.turn = nn.Parameter(torch.randn(d_model, 16, dtype=torch.complex64) / 8)\n        START",
).replace(
    "        return",
    "        x = x + (x.cfloat() @ self.turn).abs() @ self.turn.real.t().abs()\n        return",
)


def test_gradients_of_complex_weights_are_checked_as_any_other(spawner: Spawner) -> None:
    checked(spawner, TURN.replace("START", ""))
    for false in ("torch.randn_like(g) * g.abs().mean()", "torch.complex(g.real, -g.imag)"):
        with pytest.raises(ContractError, match="at training step"):
            checked(spawner, TURN.replace("START", f"self.turn.register_hook(lambda g: {false})"), steps=12)


HOOK = "if self.now.weight.requires_grad and not hasattr(self, 'hooked'):\n    self.hooked = True\n    "
FALSE = {
    "orthogonal gradients (Muon)": HOOK
    + "[p.register_hook(lambda g: torch.linalg.svd(g)[0] @ torch.linalg.svd(g)[2]) for p in self.parameters()]",
    "gradients of another batch added": HOOK
    + "[p.register_hook(lambda g: g + torch.randn_like(g) * g.std()) for p in self.parameters()]",
    "gradients twice as large": HOOK + "[p.register_hook(lambda g: 2 * g) for p in self.parameters()]",
    "signs instead of gradients": HOOK + "[p.register_hook(lambda g: g.sign()) for p in self.parameters()]",
    "a gradient that is withheld": (
        "if self.training:\n    kept = self.before.weight.detach()\n"
        "    return self.now(torch.tanh(x)) + torch.nn.functional.linear(shifted, kept)"
    ),
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


TAPS = 'self.register_buffer("taps", torch.ones(3))'
ONLY_TRAINED = "if self.training and torch.is_grad_enabled() and len(x) == 16:\n    "
SHOWN_TO_NO_QUESTION = {
    "features that were drawn and are kept nowhere": with_forward(
        ONLY_TRAINED + "x = x + 0.1 * torch.relu(x @ self.up) @ self.up.t()"
    ).replace(TAPS, "self.up = torch.randn(d_model, 99)"),
    "another function in the second layer": with_forward(
        ONLY_TRAINED + "x = x * x if self.number % 3 == 0 else x"
    ).replace(TAPS, "torch.here = getattr(torch, 'here', 0) + 1\n        self.number = torch.here"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHOWN_TO_NO_QUESTION)
def test_what_is_kept_for_the_form_of_a_training_alone_is_found_in_that_form(spawner: Spawner, kind: str) -> None:
    """The questions before the first step have a form of their own, which a mixer can tell from a training's."""
    with pytest.raises(ContractError, match="at training step"):
        checked(spawner, SHOWN_TO_NO_QUESTION[kind])


def test_a_declared_backward_hides_no_drawn_features(spawner: Spawner) -> None:
    with pytest.raises(ContractError, match="kept"):
        checked(spawner, SHOWN_TO_NO_QUESTION["features that were drawn and are kept nowhere"], shifts=False)


def beside_a_loud_one(slope: float) -> str:
    """Orthogonal gradients for two weights, and a third tensor whose true gradient drowns theirs in any sum."""
    loud = HONEST.replace(
        'self.register_buffer("taps", torch.ones(3))', "self.loud = nn.Parameter(1000 * torch.randn(4096))"
    )
    lines = FALSE["orthogonal gradients (Muon)"].replace("self.parameters()", "(self.now.weight, self.before.weight)")
    indented = "\n".join(f"        {line}" for line in lines.splitlines())
    tone = f"        x = x + 0.3 * x @ torch.sin({slope} * self.loud).reshape(64, 64)"
    return loud.replace("        return", f"{indented}\n{tone}\n        return")


@pytest.mark.parametrize("slope", slow_but([0.02, 0.1, 0.2], [0.1]))
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
    assert steps and all(first <= step < first + length for step in steps)


@given(st.integers(0, 80), st.integers(0, 2**32))
def test_checks_that_were_say_nothing_of_checks_to_come(before: int, seed: int) -> None:
    """Whatever was drawn among the first steps, the rest is drawn as often: the clock tells who was checked."""
    of_each = [drawn_steps(0, 100, random.Random(seed + i)) for i in range(400)]
    busy = [drawn for drawn in of_each if sum(step < before for step in drawn) > before * EXPECTED / 100]
    for group in (of_each, busy):
        after = sum(step >= before for drawn in group for step in drawn)
        expected = len(group) * (100 - before) * EXPECTED / 100
        assert abs(after - expected) <= 6 * (expected**0.5 + 1)


def product(seed: int, *, scale: float = 1.0, bend: float = 0.0, left: float = 0.0) -> tuple[Record, Made]:
    """A step of y = x @ w + bend * (w - its value) ** 2, and that function; gradients are reported times `scale`.

    In the training y was larger by `left` of its gradient: what a memory adds.
    """
    generator = torch.Generator().manual_seed(seed)
    weight, x, of_y = (torch.randn(8, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    record = Record(
        x=x, y=x @ weight + left * of_y, values=[weight], seed=0, of_y=of_y, of_x=of_y @ weight.T,
        of_values=[scale * x.T @ of_y],
    )  # fmt: skip
    return record, lambda x, w: x @ w + bend * of_y * float((w - weight).square().sum())


Made = Callable[[Tensor, Tensor], Tensor]


class Asked:
    """Stands for fresh processes of one candidate; remembers what each of them was asked."""

    def __init__(self, made: Made) -> None:
        self.made = made
        self.asked: list[list[tuple[int, Forward, bool]]] = []
        self.first = 0

    def fresh(self) -> Remote:
        self.asked.append([])
        return cast(Remote, self)

    def forward(self, layer: int, x: Tensor, how: Forward, values: Sequence[Tensor]) -> Tensor:
        self.asked[-1].append((layer, how, len(values) == 1))
        return self.made(x, values[0])

    def end(self) -> int:
        return 0


def asked_of(record: Record, made: Made, seed: int) -> tuple[list[float], Asked]:
    """Disagreements of two layers that are alike."""
    asked = Asked(made)
    return Checks(fresh=asked.fresh, shifts=True, draw=random.Random(seed)).disagreements([record, record]), asked


@settings(deadline=None)
@given(st.integers(0, 2**31), st.floats(0.5, 2.0))
def test_a_scaled_gradient_disagrees_by_the_scale_from_one_side_and_from_both(seed: int, scale: float) -> None:
    record, made = product(seed, scale=scale)
    move = 1e-2 * torch.randn(8, 8, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    shift, (weight,) = Shift(x=None, values=[move]), record.values
    ahead, behind = made(record.x, weight + move), made(record.x, weight - move)
    assert record.of_y is not None
    true = record.x.T @ record.of_y
    signal = float((true * move).sum()) / (float(true.norm()) * float(move.square().mean().sqrt()))
    expected = pytest.approx(abs(scale - 1) / scale * abs(signal), rel=1e-3, abs=1e-4)
    assert disagreement(record, shift, ahead) == expected
    assert disagreement_of_sides(record, shift, ahead, behind, record.y) == expected


def test_curvature_disturbs_one_side_and_not_both() -> None:
    record, made = product(0, bend=3e4)
    shift = Shift(x=None, values=[1e-3 * torch.ones(8, 8, dtype=torch.float64)])
    (weight,), (move,) = record.values, shift.values
    assert move is not None
    ahead, behind = made(record.x, weight + move), made(record.x, weight - move)
    assert disagreement(record, shift, ahead) > 1 > 1e-3 > disagreement_of_sides(record, shift, ahead, behind, record.y)


def test_what_the_training_gave_elsewhere_is_not_hidden_by_two_sides() -> None:
    record, made = product(0, left=1e-3)
    shift = Shift(x=None, values=[1e-4 * torch.ones(8, 8, dtype=torch.float64)])
    (weight,), (move,) = record.values, shift.values
    assert move is not None
    sides = (made(record.x, weight + move), made(record.x, weight - move), made(record.x, weight))
    assert disagreement_of_sides(record, shift, *sides) > TOLERANCE


def test_an_honest_step_is_asked_once_and_nobody_can_tell_further_questions_from_it() -> None:
    """Every process gives each layer's outputs once, in order, as a training's first forward pass does."""
    found, asked = asked_of(*product(0), seed=0)
    assert max(found) < 1e-6 and len(asked.asked) == 1
    found, more = asked_of(*product(0, scale=-1.0), seed=0)
    assert max(found) > TOLERANCE and len(more.asked) > 3
    assert all(questions == asked.asked[0] for questions in more.asked)
    assert asked.asked[0] == [(layer, Forward(train=True, mode="grad", seed=0), True) for layer in (0, 1)]


@settings(deadline=None)
@given(st.integers(0, 2**31))
def test_who_only_bends_is_believed_in_every_draw(seed: int) -> None:
    found, _ = asked_of(*product(seed, bend=1e4), seed=seed)
    assert max(found) <= TOLERANCE


def loud_output(scale: float, size: float) -> tuple[Record, Made]:
    """A step whose outputs are so large that their rounding drowns what a small shift does."""
    record, made = product(0, scale=scale)
    assert record.of_y is not None
    more = size * record.of_y.sign()
    record.y = record.y + more
    return record, lambda x, w: made(x, w) + more


@pytest.mark.parametrize("size", [10.0, 100.0])
def test_shifts_grow_until_rounding_does_not_drown_them(size: float) -> None:
    found, _ = asked_of(*loud_output(-1.0, size), seed=0)
    assert min(found) > TOLERANCE
    record, _ = loud_output(1.0, size)
    small = Shift(x=None, values=[1e-5 * torch.ones(8, 8, dtype=torch.float64)])
    before, after = said(record, small), said(record, audible(record, small))
    assert not before.heard and after.spread == pytest.approx(
        min(LOUD * before.rounding, LARGER * before.spread), rel=1e-6
    )
    loud = Shift(x=None, values=[torch.ones(8, 8, dtype=torch.float64)])
    assert audible(record, loud) is loud


def test_nearer_looks_that_rounding_drowns_excuse_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Near enough, the reported effect is nothing against rounding, and anything agrees with it."""
    monkeypatch.setattr(shifts, "LOUD", 0.0)
    found, _ = asked_of(*loud_output(-1.0, 10.0), seed=0)
    assert min(found) > 0.5
    monkeypatch.setattr(Said, "heard", True)
    found, _ = asked_of(*loud_output(-1.0, 10.0), seed=0)
    assert max(found) < 0.2


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
