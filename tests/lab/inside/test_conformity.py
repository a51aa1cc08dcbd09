"""What a training asks before its first step: a file that shows the gates another mixer is not trained."""

from __future__ import annotations

import pytest
import torch

from move37.lab import baselines
from move37.lab.inside.building import build_model
from move37.lab.inside.conformity import check_conformity, looks_random
from move37.lab.training.contract import ContractError
from move37.lab.training.jobs import Network
from tests.lab.inside.conftest import Start
from tests.lab.inside.mixers import HONEST, with_forward

NETWORK = Network(kind="bytes").spec
BUILT = 'self.register_buffer("taps", torch.ones(3))'
COUNTED = "torch.here = getattr(torch, 'here', 0) + 1\n        self.number = torch.here"


def asked(start: Start, source: str) -> None:
    built = build_model(start(source), NETWORK, seed=0)
    check_conformity(lambda: start(source), built, NETWORK, seed=77)


@pytest.mark.parametrize("name", baselines.NAMES)
def test_every_baseline_conforms(start: Start, name: str) -> None:
    asked(start, baselines.source(name))


FREE = {
    "dropout": with_forward("x = torch.dropout(x, 0.2, self.training)"),
    "a cache": with_forward("self.cache = x"),
    "random numbers in each call": with_forward("x = x * torch.rand(())"),
    "features in a buffer": with_forward("x = x + torch.relu(x @ self.up.to(x)) @ self.up.t().to(x)").replace(
        BUILT, "self.register_buffer('up', torch.randn(d_model, 99) / 30)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FREE)
def test_what_draws_or_keeps_its_input_is_for_others_to_judge(start: Start, name: str) -> None:
    asked(start, FREE[name])


OTHERS = {
    "larger where it is trained": (
        HONEST.replace(BUILT, "self.more = nn.Linear(d_model, 300)"),
        "parameters where it is trained",
    ),
    "larger buffers where it is trained": (
        HONEST.replace(BUILT, "self.register_buffer('up', torch.randn(d_model, 300))"),
        "parameters where it is trained",
    ),
    "wider buffers where it is trained": (
        HONEST.replace(BUILT, "self.register_buffer('up', torch.zeros(d_model, 200, dtype=torch.float64))"),
        "bytes where they are trained",
    ),
    "a start of its own": (
        HONEST.replace(BUILT, "torch.manual_seed(3)"),
        "seeds torch's generator itself",
    ),
    "a start from a generator of its own": (
        HONEST.replace(
            BUILT, "nn.init.normal_(self.now.weight, generator=getattr(torch, 'Gener' + 'ator')().manual_seed(5))"
        ),
        "looks random and is the same",
    ),
    "a start that was drawn while the file was loaded": (
        HONEST.replace("class Mixer", "START = torch.randn(64, 64)\n\nclass Mixer").replace(
            BUILT, "self.now.weight.data.copy_(START)"
        ),
        "two starts",
    ),
    "features that are drawn and kept nowhere": (
        with_forward("x = x + torch.relu(x @ self.up.to(x)) @ self.up.t().to(x)").replace(
            BUILT, "self.up = torch.randn(d_model, 99) / 30"
        ),
        "register_buffer",
    ),
    "weights that nobody names": (
        with_forward("x = x + x @ self.up[0].weight.detach()").replace(
            BUILT, "self.up = [nn.Linear(d_model, d_model)]"
        ),
        "register_buffer",
    ),
    "a scale that was drawn while the file was loaded": (
        with_forward("x = x * (1 + SCALE)").replace("class Mixer", "SCALE = torch.rand(())\n\nclass Mixer"),
        "another",
    ),
    "another function in the last layer": (
        with_forward("x = x * x if self.number % 3 == 0 else x").replace(BUILT, COUNTED),
        "is another than the first",
    ),
    "other weights in the last layer": (
        HONEST.replace(BUILT, f"{COUNTED}\n        self.more = nn.Parameter(torch.ones(2 + self.number % 3))"),
        "holds other weights",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_the_gates_would_refuse_is_not_trained(start: Start, kind: str) -> None:
    source, words = OTHERS[kind]
    assert source != HONEST
    with pytest.raises(ContractError, match=words):
        asked(start, source)


ROOTS = torch.sqrt(1 + 2 * torch.arange(32.0))
STARTS = {
    "rates of a state": (ROOTS[:, None], False),
    "a ramp for every channel": (torch.outer(torch.linspace(0.1, 3, 64), torch.linspace(1, 16, 16)), False),
    "HiPPO": (torch.tril(torch.outer(ROOTS, ROOTS)), False),
    "positions": (torch.sin(torch.arange(128.0)[:, None] * 100 ** -(torch.arange(32.0) / 32)), False),
    "an identity": (torch.eye(64), False),
    "a normal draw": (torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), True),
    "a uniform draw": (torch.rand(24, 24, generator=torch.Generator().manual_seed(0)), True),
    "an orthogonal draw": (torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator().manual_seed(0)))[0], True),
    "complex numbers": (torch.randn(16, 16, dtype=torch.complex64, generator=torch.Generator().manual_seed(0)), True),
    "a kernel": (torch.randn(64, 1, 4, generator=torch.Generator().manual_seed(0)), True),
}  # fmt: skip


@pytest.mark.parametrize("name", STARTS)
def test_a_designed_start_is_told_from_a_drawn_one(name: str) -> None:
    value, drawn = STARTS[name]
    assert looks_random(value) is drawn
