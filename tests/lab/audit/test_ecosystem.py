"""What audited programs call by the ecosystem's names computes what it computes there, or says that it is absent."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from move37 import kernels
from move37.lab.audit import ecosystem

B, T, H, D = 2, 12, 3, 8
ALIASES = ("chunk_linear_attn", "chunk_retention", "fused_chunk_delta_rule", "fused_chunk_gla", "parallel_retention")
RULES = [name for name in kernels.__all__ if hasattr(ecosystem, name) and name.startswith(("chunk_", "fused_rec"))]


def inputs(name: str) -> dict[str, Any]:
    """By time, then heads, for each argument that the rule has."""
    rule = getattr(kernels, name.removeprefix("fused_") if name.startswith("fused_chunk") else name, None)
    names = inspect.signature(rule).parameters if rule else ("q", "k", "v")
    unit = torch.nn.functional.normalize(torch.randn(B, T, H, D), dim=-1)
    wide = {"q": unit, "r": unit, "k": unit.roll(1, -1), "v": torch.randn(B, T, H, D), "a": -unit, "b": unit * 0.5}
    decay = -torch.rand(B, T, H, D)
    vector = any(kind in name for kind in ("_gla", "kda")) and "simple" not in name
    wide |= {"gk": decay, "w": decay, "g": decay if vector else decay[..., 0], "beta": torch.rand(B, T, H)}
    left_out = ("gk",) if name == "fused_recurrent_gated_delta_rule" else ()
    found: dict[str, Any] = {n: wide[n] for n in names if n in wide and n not in left_out}
    return found | ({"num_householder": 1} if "product" in name else {})


def turned(x: Any) -> Any:
    return x.transpose(1, 2) if isinstance(x, torch.Tensor) else x


@pytest.mark.parametrize("name", (*RULES, *ALIASES))
def test_heads_before_time_are_the_same_heads(name: str) -> None:
    given, state = inputs(name), torch.randn(B, H, D, D)
    rule = getattr(ecosystem, name)
    options = {"initial_state": state, "output_final_state": True}
    wanted, last = rule(**given, **options)
    found, end = rule(**{n: turned(x) for n, x in given.items()}, **options, head_first=True)
    assert torch.allclose(found, turned(wanted), atol=1e-5) and torch.allclose(end, last, atol=1e-5)
    assert not torch.allclose(wanted, rule(**given)[0], atol=1e-3), "the state is read"
    if name != "fused_recurrent_gated_delta_rule":  # whose gk and gv stand between
        assert torch.equal(rule(*given.values())[0], rule(**given)[0])


@pytest.mark.parametrize("name", (*RULES, *ALIASES))
@pytest.mark.parametrize("option", ("cu_seqlens", "offsets", "indices"))
def test_variable_lengths_are_absent_and_not_one_long_sequence(name: str, option: str) -> None:
    given = inputs(name)
    with pytest.raises(NotImplementedError, match="variable lengths"):
        getattr(ecosystem, name)(**given, **{option: torch.tensor([0, 5, T])})
    assert getattr(ecosystem, name)(**given, **{option: None})[0].shape == (B, T, H, D)


@pytest.mark.parametrize("option", ("mask", "cache", "cu_seqlens"))
def test_a_convolution_refuses_what_it_would_not_read(option: str) -> None:
    layer, x = ecosystem.ShortConvolution(D), torch.randn(B, T, D)
    assert layer(x, **{option: None})[0].shape == x.shape
    with pytest.raises(NotImplementedError, match="masks"):
        layer(x, **{option: torch.ones(B, T)})
