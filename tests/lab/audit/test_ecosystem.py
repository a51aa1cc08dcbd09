"""What audited programs call by the ecosystem's names computes what it computes there, or says that it is absent."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from move37 import kernels
from move37.lab.audit import ecosystem, ecosystem_modules

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


@pytest.mark.parametrize("option", ("residual", "mask", "cache", "cu_seqlens"))
def test_a_convolution_refuses_what_it_would_not_read(option: str) -> None:
    layer, x = ecosystem_modules.ShortConvolution(D), torch.randn(B, T, D)
    assert layer(x, **{option: None})[0].shape == x.shape
    with pytest.raises(NotImplementedError, match="masks"):
        layer(x, **{option: torch.ones(B, T)})


@pytest.mark.parametrize("name", (*RULES, *ALIASES))
def test_how_a_state_lies_is_no_matter_where_there_is_none_and_refused_where_there_is(name: str) -> None:
    given, rule = inputs(name), getattr(ecosystem, name)
    assert torch.equal(rule(**given, state_v_first=True)[0], rule(**given)[0])
    for option in ({"initial_state": torch.randn(B, H, D, D)}, {"output_final_state": True}):
        with pytest.raises(NotImplementedError):
            rule(**given, **option, state_v_first=True)


BUILT: dict[str, tuple[Any, ...]] = {
    "RMSNorm": (D,), "FusedRMSNormGated": (D,), "RMSNormGated": (D,), "LayerNorm": (D,), "GroupNorm": (2, D),
    "ShortConvolution": (D,), "RotaryEmbedding": (D,), "GatedMLP": (D,),
}  # fmt: skip


@pytest.mark.parametrize("name", BUILT)
def test_an_option_that_would_change_a_module_is_refused_and_not_dropped(name: str) -> None:
    build = getattr(ecosystem_modules, name)
    build(*BUILT[name], device=None, dtype=torch.float32, some_new_option=None, other=False)
    for option, value in (("some_new_option", True), ("group_sizes", 4), ("hidden_act", "powlu"), ("scale_base", 2.0)):
        with pytest.raises(NotImplementedError, match=option):
            build(*BUILT[name], **{option: value})


@pytest.mark.parametrize("first", (True, False))
@pytest.mark.parametrize("group", (None, 4))
def test_a_gated_norm_gates_where_it_is_told_to(first: bool, group: int | None) -> None:
    x, z = torch.randn(B, T, D), torch.randn(B, T, D)
    norm = ecosystem_modules.RMSNormGated(D, group_size=group, norm_before_gate=first)
    gate, size = torch.nn.functional.silu(z), group or D
    inner = x if first else x * gate
    wanted = torch.nn.functional.rms_norm(inner.unflatten(-1, (-1, size)), (size,), eps=1e-5).flatten(-2)
    assert torch.allclose(norm(x, z), wanted * gate if first else wanted, atol=1e-5)


@pytest.mark.parametrize("rms", (True, False))
def test_a_group_norm_is_torchs_over_the_last_dimension(rms: bool) -> None:
    x = torch.randn(B, T, D)
    groups = x.unflatten(-1, (2, -1))
    plain = torch.nn.functional.rms_norm if rms else torch.nn.functional.layer_norm
    wanted = plain(groups, (D // 2,), eps=1e-5).flatten(-2)
    assert torch.allclose(ecosystem_modules.GroupNorm(2, D, is_rms_norm=rms)(x), wanted, atol=1e-5)


@pytest.mark.parametrize("activation", (None, "silu"))
def test_the_convolutions_of_both_packages_are_one_with_time_where_each_has_it(activation: str | None) -> None:
    x, weight, bias = torch.randn(B, T, D), torch.randn(D, 4), torch.randn(D)
    ours, _ = ecosystem.causal_conv1d(x, weight, bias, activation=activation, backend="triton")
    theirs = ecosystem.causal_conv1d_fn(turned(x), weight, bias, activation=activation)
    padded = torch.nn.functional.pad(turned(x), (3, 0))
    wanted = torch.nn.functional.conv1d(padded, weight[:, None], bias, groups=D)
    wanted = torch.nn.functional.silu(wanted) if activation else wanted
    assert torch.allclose(theirs, wanted, atol=1e-5) and torch.allclose(turned(ours), wanted, atol=1e-5)
    with pytest.raises(NotImplementedError):
        ecosystem.causal_conv1d_fn(turned(x), weight, bias, seq_idx=torch.ones(B, T))


def test_what_only_a_cache_or_a_mask_needs_is_passed_by_and_refused_where_there_is_one() -> None:
    x, layer = torch.randn(B, T, D), torch.nn.Linear(D, D)
    assert (
        ecosystem.get_layer_cache(layer, None) is None and ecosystem.update_layer_cache(layer, None, offset=1) is None
    )
    assert ecosystem.unpad_hidden_states(x, None, None, T) == (x, None, None)
    assert ecosystem.repad_hidden_states(x, None, B, T) is x
    for call in (
        lambda: ecosystem.get_layer_cache(layer, {}),
        lambda: ecosystem.update_layer_cache(layer, {}),
        lambda: ecosystem.unpad_hidden_states(x, None, torch.ones(B, T), T),
        lambda: ecosystem.repad_hidden_states(x, torch.ones(B), B, T),
    ):
        with pytest.raises(NotImplementedError):
            call()
