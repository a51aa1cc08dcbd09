"""What audited programs import from the ecosystem of flash-linear-attention, served by torch and our own kernels.

This file is read as text: the definitions that a program asks for, and those that they use, are written into its
adapted file. So nothing here may import more than torch and kernels, and every name means what it means there. What
only speeds up a GPU (variable lengths, caches) is left out: a program that calls it cannot be tested.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from move37 import kernels


class RMSNorm(nn.Module):
    def __init__(self, hidden_size: int, elementwise_affine: bool = True, eps: float = 1e-5, **_: Any) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(hidden_size)) if elementwise_affine else None

    def forward(self, x: Tensor) -> Tensor:
        y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        return y if self.weight is None else y * self.weight


class FusedRMSNormGated(nn.Module):
    def __init__(
        self, hidden_size: int, elementwise_affine: bool = True, eps: float = 1e-5, activation: str = "swish", **_: Any
    ) -> None:
        super().__init__()
        self.eps, self.activation = eps, activation
        self.weight = nn.Parameter(torch.ones(hidden_size)) if elementwise_affine else None

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        return kernels.rms_norm_gated(x, g, self.weight, activation=self.activation, eps=self.eps)


FusedRMSNormSwishGate = FusedRMSNormGated
RMSNormGated = FusedRMSNormGated


class LayerNorm(nn.LayerNorm):
    def __init__(
        self, hidden_size: int, elementwise_affine: bool = True, bias: bool = False, eps: float = 1e-5
    ) -> None:
        super().__init__(hidden_size, eps=eps, elementwise_affine=elementwise_affine, bias=bias)


class ShortConvolution(nn.Conv1d):
    def __init__(
        self,
        hidden_size: int,
        kernel_size: int = 4,
        bias: bool = False,
        activation: str | None = "silu",
        **_: Any,
    ) -> None:
        super().__init__(hidden_size, hidden_size, kernel_size, groups=hidden_size, bias=bias, padding=kernel_size - 1)
        self.activation = activation

    def forward(  # type: ignore[override]
        self, x: Tensor, mask: Tensor | None = None, cache: Any = None, cu_seqlens: Any = None, **_: Any
    ) -> Any:
        if any(given is not None for given in (mask, cache, cu_seqlens)):
            _absent()
        y = kernels.causal_conv1d(x, self.weight.squeeze(1), self.bias, activation=self.activation)
        return y[0] if isinstance(y, tuple) else y, None


def l2norm(x: Tensor, eps: float = 1e-6, **_: Any) -> Tensor:
    return kernels.l2norm(x, eps=eps)


l2_norm = l2norm


class L2Norm(nn.Module):
    def __init__(self, eps: float = 1e-6, **_: Any) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return kernels.l2norm(x, eps=self.eps)


class RotaryEmbedding(nn.Module):
    def __init__(self, dim: int, base: float = 10000.0, **_: Any) -> None:
        super().__init__()
        self.register_buffer("inverse", base ** (-torch.arange(0, dim, 2) / dim), persistent=False)
        self.inverse: Tensor

    def forward(self, q: Tensor, k: Tensor, cu_seqlens: Any = None, **_: Any) -> tuple[Tensor, Tensor]:
        if cu_seqlens is not None:
            _absent()
        angle = torch.arange(q.shape[1], device=q.device)[:, None] * self.inverse
        return _rotated(q, angle), _rotated(k, angle)


def _rotated(x: Tensor, angle: Tensor) -> Tensor:
    one, two = x.chunk(2, -1)
    cos, sin = (f(angle)[None, :, None, :].to(x.dtype) for f in (torch.cos, torch.sin))
    return torch.cat((one * cos - two * sin, two * cos + one * sin), -1)


class GatedMLP(nn.Module):
    def __init__(
        self, hidden_size: int, hidden_ratio: int | None = None, intermediate_size: int | None = None, **_: Any
    ):
        super().__init__()
        size = intermediate_size or int(hidden_size * (hidden_ratio or 4) * 2 / 3)
        self.gate_proj = nn.Linear(hidden_size, size, bias=False)
        self.up_proj = nn.Linear(hidden_size, size, bias=False)
        self.down_proj = nn.Linear(size, hidden_size, bias=False)

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        y: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return y


def swiglu(x: Tensor, y: Tensor) -> Tensor:
    return F.silu(x) * y


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


def _absent(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("variable lengths, masks and caches are not served in an audit")


get_unpad_data = index_first_axis = pad_input = unpad_input = prepare_lens_from_mask = _absent


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
chunk_dplr_delta_rule = _served(kernels.chunk_dplr_delta_rule)
chunk_rwkv7 = _served(kernels.chunk_rwkv7)
fused_recurrent_rwkv7 = _served(kernels.fused_recurrent_rwkv7)
chunk_gated_delta_product = _served(kernels.chunk_gated_delta_product)
causal_conv1d_fn = kernels.causal_conv1d


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


def rms_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5, **_: Any
) -> Tensor:
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias
