"""What a training asks before its first step: a file that shows the gates another mixer is not trained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from move37.lab import baselines
from move37.lab.inside.building import build_model
from move37.lab.inside.conformity import check_conformity, has_one_start, looks_random
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


FORETOLD = (
    with_forward("x = x if ASKED(x) else x + torch.relu(x @ self.up.to(x)) @ self.up.t().to(x)")
    .replace(
        "class Mixer",
        "PUT, torch.seen = getattr(torch, 'set_rng' + '_state'), []\n"
        "ASKED = lambda x: any(x.shape == seen.shape and x.equal(seen) for seen in torch.seen)\n\nclass Mixer",
    )
    .replace(
        "super().__init__()",
        "super().__init__()\n        state = torch.get_rng_state()\n"
        "        torch.seen.append(torch.randn(2, 65, d_model))\n        PUT(state)",
    )
    .replace(BUILT, "self.up = torch.randn(d_model, 99) / 30\n        PUT(state)")
)
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
    "a start of its own with noise on it": (
        HONEST.replace(
            BUILT,
            "i = torch.arange(4096, dtype=torch.float64).view(64, 64)\n"
            "        start = (torch.sin(12.9898 * i) * 43758.5453 % 1 - 0.5) / 4\n"
            "        self.now.weight.data.copy_(start + 0.01 * torch.randn(64, 64))",
        ),
        "now.weight is one start under two seeds",
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
        with_forward("x = x * (1 + SCALE)").replace("class Mixer", "SCALE = torch.rand(64)\n\nclass Mixer"),
        "another",
    ),
    "another function, but for what its own draws foretell": (FORETOLD, "another"),
    "no number where layers are compared": (
        with_forward("x = x * float('nan') if x.shape[:2] == (2, 65) else x + 0 * (x @ self.up) @ self.up.t()").replace(
            BUILT, "self.up = torch.randn(d_model, 99) / 30"
        ),
        "not finite",
    ),
    "one number that is none in a chosen start": (
        HONEST.replace(BUILT, "self.now.weight.data.fill_(0.1)[0, 0] = float('nan')"),
        "now.weight is not finite",
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


def _draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


CHOSEN = torch.randn(64, 64, generator=torch.Generator().manual_seed(1))
BASIS = torch.cos(torch.pi * (2 * torch.arange(64.0) + 1) * torch.arange(64.0)[:, None] / 128)
HIDDEN: dict[str, Callable[[], torch.Tensor]] = {
    "a little noise": lambda: CHOSEN + 1e-6 * _draw(64, 64),
    "a tenth of noise": lambda: CHOSEN * (1 + 0.1 * _draw(64, 64)),
    "signs of rows": lambda: CHOSEN * _draw(64, 1).sign(),
    "signs of columns": lambda: CHOSEN * _draw(64).sign(),
    "another order of rows": lambda: CHOSEN[torch.randperm(64)],
    "another order of columns": lambda: CHOSEN[:, torch.randperm(64)],
    "another size": lambda: CHOSEN * (1 + torch.rand(())),
    "taps with noise": lambda: (CHOSEN[:, :4] + 0.1 * _draw(64, 4))[:, None],
    "a shift of all": lambda: CHOSEN + torch.rand(()) + 1e-3 * _draw(64, 64),
}
FREE_STARTS: dict[str, Callable[[], torch.Tensor]] = {
    "a draw": lambda: _draw(64, 64),
    "a draw of another shape": lambda: _draw(300, 16),
    "rotations": lambda: torch.linalg.qr(_draw(64, 64))[0],
    "complex numbers": lambda: torch.view_as_complex(_draw(16, 16, 2)),
    "a kernel": lambda: _draw(64, 1, 4),
    "single numbers": lambda: 1 + 1e-3 * torch.rand(()),
    "designed rates and noise": lambda: torch.linspace(1, 2, 64) + 1e-3 * _draw(64),
    **{
        f"{name} and noise": lambda value=value: value + 0.02 * _draw(*value.shape)  # type: ignore[misc]
        for name, value in {
            "ones": torch.ones(64, 64), "an identity": torch.eye(64), "a shift": torch.eye(64).roll(1, 0),
            "ramps": torch.outer(torch.linspace(0.1, 3, 64), torch.linspace(1, 16, 16)), "cosines": BASIS,
            "HiPPO": torch.tril(torch.outer(ROOTS, ROOTS)), "the last of four taps": torch.eye(4)[-1].expand(64, 4),
            "blocks": torch.block_diag(*[torch.ones(16, 16)] * 4),
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("way", HIDDEN)
def test_one_start_is_known_again_however_it_is_hidden(way: str) -> None:
    torch.manual_seed(0)
    assert all(has_one_start(HIDDEN[way](), HIDDEN[way]()) for _ in range(5))


@pytest.mark.parametrize("start", FREE_STARTS)
def test_two_draws_and_what_is_designed_are_no_chosen_start(start: str) -> None:
    torch.manual_seed(0)
    assert not any(has_one_start(FREE_STARTS[start](), FREE_STARTS[start]()) for _ in range(20))
