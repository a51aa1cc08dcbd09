"""What a path does with its state: two gates that erase and write, and a state for each bucket of the past."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from move37.agents.search.composition import usual
from move37.agents.search.genome import ERASING, MAPPED
from move37.agents.search.grammar import Genome, Path, canonical
from tests.agents.search.test_codegen import built


def erased_and_written(q, k, v, g, erase, write):  # type: ignore[no-untyped-def]
    """S_t = (1 - erase k^T k) e^g S_{t-1} + write k^T v, as it is written; g [batch, time, head, 1 or dim]."""
    state = torch.zeros(*v.shape[:1], *v.shape[2:], v.shape[-1], dtype=v.dtype)
    outputs = []
    for t in range(v.shape[1]):
        key, value = k[:, t, :, :, None], v[:, t, :, None, :]
        state = state * g[:, t, :, :, None].exp()
        state = state - erase[:, t, :, None, None] * key * (key.mT @ state)
        state = state + write[:, t, :, None, None] * key * value
        outputs.append((q[:, t, :, None] @ state).squeeze(-2) * q.shape[-1] ** -0.5)
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("beta", (1, 2))
@pytest.mark.parametrize("family", ERASING)
def test_two_gates_erase_and_write_as_a_plain_loop_does(family: str, beta: int) -> None:
    path = Path(family=family, norm="l2", beta=beta, separate=True)  # type: ignore[arg-type]
    mixer: Any = built(canonical(Genome(paths=(path,), gate="none"))).double()
    x = torch.randn(2, 40, 64, dtype=torch.float64)
    q, k, v = (torch.randn(2, 40, 4, 16, dtype=torch.float64) for _ in range(3))
    q, k = (torch.nn.functional.normalize(s, dim=-1) for s in (q, k))
    g = torch.zeros(2, 40, 4, 1, dtype=torch.float64)
    if family == "gated_delta":
        dt = torch.nn.functional.softplus(mixer.gated_delta_dt(x) + mixer.gated_delta_dt_bias)
        g = (-mixer.gated_delta_a_log.exp() * dt)[..., None]
    if family == "kda":
        g = torch.nn.functional.logsigmoid(mixer.kda_decay(x)).view(2, 40, 4, 16) / 16
    gates = {name: getattr(mixer, f"{family}_{name}") for name in ("erase", "write")}
    with torch.no_grad():
        for gate in gates.values():
            gate.weight.mul_(3)  # strengths from near 0 to near 1
    wanted = erased_and_written(q, k, v, g, *(beta * gate(x).sigmoid() for gate in gates.values()))
    found = getattr(mixer, family)(x, 1e4 * q, 1e4 * k, v)  # normalised there, with an epsilon
    assert torch.allclose(found, wanted, atol=1e-9)


@pytest.mark.parametrize("path", [Path(family="delta", norm="l2", steps=2), Path(family="kda", norm="l2")])
def test_two_gates_that_agree_are_one(path: Path) -> None:
    one = canonical(Genome(paths=(path,), gate="none", keys="half"))
    two = replace(one, paths=(replace(path, separate=True),))
    small, large = built(one).double(), built(two).double()
    known = small.state_dict()
    strength = known.pop(f"{path.family}_beta.weight")
    large.load_state_dict(known | {f"{path.family}_{gate}.weight": strength for gate in ("erase", "write")})
    x = torch.randn(2, 11, 64, dtype=torch.float64)
    assert torch.allclose(large(x), small(x), atol=1e-10)


def test_a_gate_that_never_erases_leaves_output_and_gradients_finite() -> None:
    mixer = built(canonical(Genome(paths=(Path(family="delta", norm="l2", separate=True),), gate="none")))
    mixer.delta_erase.register_forward_hook(lambda module, given, out: out - 200)  # type: ignore
    y = mixer(torch.randn(1, 50, 64))
    y.square().sum().backward()
    assert y.isfinite().all() and all(p.grad.isfinite().all() for p in mixer.parameters() if p.grad is not None)


@pytest.mark.parametrize("family", MAPPED)
def test_buckets_of_equal_weight_are_one_state(family: str) -> None:
    path = replace(usual(family), norm="l2")  # type: ignore[arg-type]
    small, large = (
        built(canonical(Genome(paths=(replace(path, tree=tree),), gate="none"))).double() for tree in (False, True)
    )
    levels = {f"{family}_levels.weight": torch.zeros(8, 64, dtype=torch.float64)}  # every weight is one
    large.load_state_dict(small.state_dict() | levels)
    x = torch.randn(2, 77, 64, dtype=torch.float64)
    assert torch.allclose(large(x), small(x), atol=1e-9)
    torch.nn.init.normal_(large.get_parameter(f"{family}_levels.weight"))
    assert (large(x) - small(x)).abs().max() > 1e-3
