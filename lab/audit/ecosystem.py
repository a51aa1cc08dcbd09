"""What audited programs import from the ecosystem of flash-linear-attention, served by torch and our own kernels.

This file is read as text: the definitions that a program asks for, and those that they use, are written into its
adapted file. So nothing here may import more than torch and kernels, and every name means what it means there. What
only speeds up a GPU (variable lengths, caches) is left out: a program that calls it cannot be tested.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from move37 import kernels
from move37.lab.audit.ecosystem_modules import _absent, _plain


def swiglu(x: Tensor, y: Tensor) -> Tensor:
    return F.silu(x) * y


def elu_p1(x: Tensor) -> Tensor:
    return F.elu(x) + 1.0


def swish(x: Tensor) -> Tensor:
    return F.silu(x)


ACT2FN = {
    "silu": F.silu, "swish": F.silu, "relu": F.relu, "gelu": F.gelu, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "identity": lambda x: x,
}  # fmt: skip


class Cache:
    pass


class _Logger:
    def _nothing(self, *_: Any, **__: Any) -> None:
        return None

    debug = info = warning = warning_once = error = _nothing


class logging:
    @staticmethod
    def get_logger(*_: Any) -> _Logger:
        return _Logger()

    getLogger = get_logger


class warnings:
    @staticmethod
    def warn(*_: Any, **__: Any) -> None:
        return None

    filterwarnings = simplefilter = warn

    class catch_warnings:
        def __init__(self, **_: Any) -> None:
            pass

        def __enter__(self) -> None:
            return None

        def __exit__(self, *_: Any) -> None:
            return None


get_unpad_data = index_first_axis = pad_input = unpad_input = prepare_lens_from_mask = _absent
causal_conv1d_update = attn_decoding_one_step = _absent


def get_layer_cache(module: Any, past_key_values: Any) -> Any:
    return None if past_key_values is None else _absent()


def update_layer_cache(module: Any, past_key_values: Any, **_: Any) -> Any:
    return None if past_key_values is None else _absent()


def unpad_hidden_states(hidden_states: Tensor, cu_seqlens: Any, attention_mask: Any, q_len: int) -> Any:
    if cu_seqlens is not None or attention_mask is not None:
        _absent()
    return hidden_states, None, None


def repad_hidden_states(hidden_states: Tensor, indices: Any, batch_size: int, q_len: int) -> Tensor:
    if indices is not None:
        _absent()
    return hidden_states


def _served(rule: Any) -> Any:
    names = rule.__code__.co_varnames[: rule.__code__.co_argcount]
    over_time = ("q", "k", "v", "g", "beta", "gk", "gv", "r", "w", "a", "b")

    def call(*arguments: Any, **options: Any) -> Any:
        given = {**dict(zip(names[: len(arguments)], arguments, strict=True)), **options}
        for name in ("cu_seqlens", "offsets", "indices"):
            if given.pop(name, None) is not None:
                _absent()
        for name in ("chunk_size", "output_attentions"):
            given.pop(name, None)
        if given.pop("state_v_first", False) and (
            given.get("initial_state") is not None or given.get("output_final_state")
        ):
            _absent()  # how a state lies matters to a cache alone
        if not given.pop("head_first", False):
            return rule(**given)
        for name in over_time:
            if isinstance(given.get(name), Tensor):
                given[name] = given[name].transpose(1, 2)
        o, state = rule(**given)
        return o.transpose(1, 2), state

    return call


chunk_delta_rule = _served(kernels.chunk_delta_rule)
fused_chunk_delta_rule = chunk_delta_rule
fused_recurrent_delta_rule = _served(kernels.fused_recurrent_delta_rule)
chunk_gated_delta_rule = _served(kernels.chunk_gated_delta_rule)
fused_recurrent_gated_delta_rule = _served(kernels.fused_recurrent_gated_delta_rule)
chunk_simple_gla = _served(kernels.chunk_simple_gla)
fused_recurrent_simple_gla = _served(kernels.fused_recurrent_simple_gla)
chunk_gla = _served(kernels.chunk_gla)
fused_chunk_gla = chunk_gla
fused_recurrent_gla = _served(kernels.fused_recurrent_gla)
chunk_kda = _served(kernels.chunk_kda)
fused_recurrent_kda = _served(kernels.fused_recurrent_kda)
chunk_dplr_delta_rule = _served(kernels.chunk_dplr_delta_rule)
chunk_rwkv7 = _served(kernels.chunk_rwkv7)
fused_recurrent_rwkv7 = _served(kernels.fused_recurrent_rwkv7)
chunk_gated_delta_product = _served(kernels.chunk_gated_delta_product)


def causal_conv1d(x: Tensor, weight: Tensor, bias: Tensor | None = None, **options: Any) -> Any:
    return kernels.causal_conv1d(x, weight, bias, **{k: v for k, v in options.items() if k != "backend"})


def causal_conv1d_fn(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *more: Any, activation: str | None = None, **options: Any
) -> Tensor:
    if any(given is not None for given in more):
        _absent()
    _plain(options)
    y, _ = kernels.causal_conv1d(x.transpose(1, 2), weight, bias, activation=activation)
    return y.transpose(1, 2)  # of that package, which has time last


def _linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    normalize: bool = True,
) -> Any:
    o, state = kernels.chunk_simple_gla(q, k, v, None, None, scale, initial_state, output_final_state)
    if normalize:
        total = k.cumsum(1)
        o = o / ((q * (q.shape[-1] ** -0.5 if scale is None else scale) * total).sum(-1, keepdim=True) + 1e-10)
    return o, state


chunk_linear_attn = _served(_linear_attention)
fused_chunk_linear_attn = fused_recurrent_linear_attn = chunk_linear_attn


def _retention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
) -> Any:
    decay = torch.log1p(-torch.exp2(-5.0 - torch.arange(q.shape[2], device=q.device, dtype=torch.float32)))
    return kernels.chunk_simple_gla(q, k, v, None, decay, scale, initial_state, output_final_state)


chunk_retention = _served(_retention)
fused_chunk_retention = parallel_retention = fused_recurrent_retention = chunk_retention
