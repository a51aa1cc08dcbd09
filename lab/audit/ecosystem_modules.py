"""Modules that audited programs build from the ecosystem: norms, convolutions, positions, an MLP.

Read as text, as `ecosystem.py` is: no more than torch and kernels may be imported here. Arguments stand in the order
that they have there. What would change what a module computes, and is not computed here, is refused by name: a program
that asks for it cannot be tested.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from move37 import kernels

_HARMLESS = (
    "device", "dtype", "backend", "use_fast_conv1d", "fuse_swiglu", "fuse_norm", "layer_idx", "output_final_state",
    "use_cache", "max_seqlen", "pos_idx_in_fp32", "powglu_power", "return_final_states",
)  # fmt: skip


def _absent(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("variable lengths, masks and caches are not served in an audit")


def _plain(given: Any, **usual: Any) -> None:
    for name, value in given.items():
        known = value is None or value is False or (isinstance(value, bool | int | str) and value == usual.get(name))
        if name not in _HARMLESS and not known:
            raise NotImplementedError(f"the option {name} is not served in an audit")


def _normed(x: Tensor, eps: float) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


class RMSNorm(nn.Module):
    def __init__(
        self, hidden_size: int, elementwise_affine: bool = True, bias: bool = False, eps: float = 1e-5, **options: Any
    ) -> None:
        super().__init__()
        _plain(options)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(hidden_size)) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros(hidden_size)) if elementwise_affine and bias else None

    def forward(self, x: Tensor) -> Tensor:
        return _affine(_normed(x, self.eps), self.weight, self.bias)


class FusedRMSNormGated(nn.Module):
    def __init__(
        self,
        hidden_size: int,
        elementwise_affine: bool = True,
        eps: float = 1e-5,
        activation: str = "swish",
        **options: Any,
    ) -> None:
        super().__init__()
        _plain(options)
        self.eps, self.activation = eps, activation
        self.weight = nn.Parameter(torch.ones(hidden_size)) if elementwise_affine else None

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        return kernels.rms_norm_gated(x, g, self.weight, activation=self.activation, eps=self.eps)


FusedRMSNormSwishGate = FusedRMSNormGated


class RMSNormGated(nn.Module):
    def __init__(
        self,
        hidden_size: int,
        eps: float = 1e-5,
        group_size: int | None = None,
        norm_before_gate: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        _plain(options)
        self.eps, self.groups, self.norm_first = eps, hidden_size // (group_size or hidden_size), norm_before_gate
        self.weight = nn.Parameter(torch.ones(hidden_size))

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        gate = 1.0 if z is None else F.silu(z)
        inner = x if self.norm_first else x * gate
        y = _normed(inner.reshape(*inner.shape[:-1], self.groups, -1), self.eps).flatten(-2) * self.weight
        return y * gate if self.norm_first else y


class LayerNorm(nn.LayerNorm):
    def __init__(
        self, hidden_size: int, elementwise_affine: bool = True, bias: bool = False, eps: float = 1e-5, **options: Any
    ) -> None:
        _plain(options)
        super().__init__(hidden_size, eps=eps, elementwise_affine=elementwise_affine, bias=bias)


class GroupNorm(nn.Module):
    def __init__(
        self,
        num_groups: int,
        hidden_size: int,
        elementwise_affine: bool = True,
        bias: bool = False,
        eps: float = 1e-5,
        is_rms_norm: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        _plain(options)
        self.num_groups, self.eps, self.is_rms_norm = num_groups, eps, is_rms_norm
        self.weight = nn.Parameter(torch.ones(hidden_size)) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros(hidden_size)) if elementwise_affine and bias else None

    def forward(self, x: Tensor) -> Tensor:
        groups = x.reshape(*x.shape[:-1], self.num_groups, -1)
        centred = groups if self.is_rms_norm else groups - groups.mean(-1, keepdim=True)
        return _affine(_normed(centred, self.eps).flatten(-2), self.weight, self.bias)


class ShortConvolution(nn.Conv1d):
    def __init__(
        self,
        hidden_size: int,
        kernel_size: int = 4,
        bias: bool = False,
        activation: str | None = "silu",
        **options: Any,
    ) -> None:
        super().__init__(hidden_size, hidden_size, kernel_size, groups=hidden_size, bias=bias, padding=kernel_size - 1)
        _plain(options)
        self.hidden_size, self.activation, self.backend = hidden_size, activation, "triton"

    def forward(self, x: Tensor, *more: Any, **options: Any) -> Any:  # type: ignore[override]
        given = [*more, *(options.pop(name, None) for name in ("residual", "mask", "cache", "cu_seqlens"))]
        if any(g is not None for g in given):
            _absent()
        _plain(options)
        y = kernels.causal_conv1d(x, self.weight.squeeze(1), self.bias, activation=self.activation)
        return y[0] if isinstance(y, tuple) else y, None


def _unit(x: Tensor, eps: float = 1e-6, output_dtype: Any = None) -> Tensor:
    y: Tensor = kernels.l2norm(x, eps=eps)
    return y if output_dtype is None else y.to(output_dtype)


l2norm = l2_norm = _unit


class L2Norm(nn.Module):
    def __init__(self, eps: float = 1e-6, output_dtype: Any = None) -> None:
        super().__init__()
        self.eps, self.output_dtype = eps, output_dtype

    def forward(self, x: Tensor) -> Tensor:
        return _unit(x, self.eps, self.output_dtype)


class RotaryEmbedding(nn.Module):
    def __init__(self, dim: int, base: float = 10000.0, **options: Any) -> None:
        super().__init__()
        _plain(options)
        self.register_buffer("inverse", base ** (-torch.arange(0, dim, 2) / dim), persistent=False)
        self.inverse: Tensor

    def forward(self, q: Tensor, k: Tensor, cu_seqlens: Any = None, **options: Any) -> tuple[Tensor, Tensor]:
        if cu_seqlens is not None:
            _absent()
        _plain(options, seqlen_offset=0)
        angle = torch.arange(q.shape[1], device=q.device)[:, None] * self.inverse
        return _rotated(q, angle), _rotated(k, angle)


def _rotated(x: Tensor, angle: Tensor) -> Tensor:
    one, two = x.chunk(2, -1)
    cos, sin = (f(angle)[None, :, None, :].to(x.dtype) for f in (torch.cos, torch.sin))
    return torch.cat((one * cos - two * sin, two * cos + one * sin), -1)


class GatedMLP(nn.Module):
    def __init__(
        self, hidden_size: int, hidden_ratio: int | None = None, intermediate_size: int | None = None, **options: Any
    ):
        super().__init__()
        _plain(options, hidden_act="swish")
        size = intermediate_size or -(-int(hidden_size * (hidden_ratio or 4) * 2 / 3) // 256) * 256
        self.gate_proj = nn.Linear(hidden_size, size, bias=False)
        self.up_proj = nn.Linear(hidden_size, size, bias=False)
        self.down_proj = nn.Linear(size, hidden_size, bias=False)

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        y: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return y


def rms_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5, **options: Any
) -> Tensor:
    _plain(options)
    return _affine(_normed(x, eps), weight, bias)


def rms_norm_linear(
    x: Tensor,
    norm_weight: Tensor | None,
    norm_bias: Tensor | None,
    linear_weight: Tensor,
    linear_bias: Tensor | None,
    residual: Tensor | None = None,
    eps: float = 1e-5,
    **options: Any,
) -> Tensor:
    _plain({**options, "residual": residual})
    return F.linear(_affine(_normed(x, eps), norm_weight, norm_bias), linear_weight, linear_bias)
