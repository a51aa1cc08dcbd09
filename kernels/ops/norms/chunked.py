"""RMSNorm with a SiLU gate, and l2norm, over the last axis, with backward passes that keep one number a row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from move37.kernels.common.lengths import inverse_length
from move37.kernels.common.operator import Arguments, Operator, accumulation_dtype


def rms_norm_gated(
    x: Tensor, g: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sigmoid: bool
) -> Tensor:
    """(x rsqrt(mean x^2 + eps) w + b) act(g), act = SiLU or sigmoid; x, g [..., D], weight, bias [D]."""
    return _gated(x, g, weight, bias, eps, sigmoid)[0]


def l2norm(x: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """x / sqrt(|x|^2 + eps) in `dtype`."""
    return _l2norm(x, eps, dtype)[0]


def _gated_forward(
    x: Tensor, g: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sigmoid: bool
) -> tuple[Tensor, Tensor]:
    """-> y, and one over the root mean square of each row, which is kept."""
    dtype = accumulation_dtype(x)
    xs, gs = x.to(dtype), g.to(dtype)
    r = inverse_length(torch.linalg.vector_norm(xs, dim=-1, keepdim=True).square_(), xs, eps, xs.shape[-1])
    y: Tensor = xs * r
    if weight is not None:
        y.mul_(weight.to(dtype))
    if bias is not None:
        y.add_(bias.to(dtype))
    y.mul_(torch.sigmoid(gs) if sigmoid else F.silu(gs))
    return y.to(x.dtype), r


def _gated_backward(arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    x, g, weight, bias, _, sigmoid = arguments
    (r,) = kept
    w, b = (None if t is None else t.to(r.dtype) for t in (weight, bias))
    dy = torch.zeros_like(x) if gradients[0] is None else gradients[0]
    xs, gs, dys = x.to(r.dtype), g.to(r.dtype), dy.to(r.dtype)
    hat = xs * r
    normed = hat if w is None else hat * w
    if b is not None:
        normed = normed + b
    gate = torch.sigmoid(gs)
    if sigmoid:
        dnormed = dys * gate
        dg = torch.ops.aten.sigmoid_backward(dys * normed, gate)
    else:
        dnormed = dys * gate.mul_(gs)
        dg = torch.ops.aten.silu_backward(dys * normed, gs)
    rows = tuple(range(x.dim() - 1))
    into = [] if weight is None else [(dnormed * hat).sum(rows).to(weight.dtype)]
    into += [] if bias is None else [dnormed.sum(rows).to(bias.dtype)]
    dhat = dnormed if w is None else dnormed.mul_(w)
    along = (dhat * hat).mean(-1, keepdim=True)
    dx = dhat.addcmul_(hat, along, value=-1).mul_(r)
    return [dx.to(x.dtype), dg.to(g.dtype), *into]


def _gated_shapes(
    x: Tensor, g: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sigmoid: bool
) -> list[Tensor]:
    return [x.new_empty(x.shape), x.new_empty((*x.shape[:-1], 1), dtype=accumulation_dtype(x))]


_gated = Operator(
    "chunked_rms_norm_gated",
    "Tensor x, Tensor g, Tensor? weight, Tensor? bias, float eps, bool sigmoid",
    forward=_gated_forward,
    backward=_gated_backward,
    shapes=_gated_shapes,
    visible=1,
)


def _l2norm_forward(x: Tensor, eps: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """-> y, and one over the length of each row, which is kept."""
    xs = x.to(accumulation_dtype(x))
    r = inverse_length(xs.square().sum(-1, keepdim=True), xs, eps)
    return (xs * r).to(dtype), r


def _l2norm_backward(
    arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]
) -> list[Tensor]:
    x, (r,) = arguments[0], kept
    dy = torch.zeros_like(x) if gradients[0] is None else gradients[0]
    y, dys = x.to(r.dtype) * r, dy.to(r.dtype)
    along = (dys * y).sum(-1, keepdim=True)
    return [torch.addcmul(dys, y, along, value=-1).mul_(r).to(x.dtype)]


def _l2norm_shapes(x: Tensor, eps: float, dtype: torch.dtype) -> list[Tensor]:
    return [x.new_empty(x.shape, dtype=dtype), x.new_empty((*x.shape[:-1], 1), dtype=accumulation_dtype(x))]


_l2norm = Operator(
    "chunked_l2norm",
    "Tensor x, float eps, ScalarType dtype",
    forward=_l2norm_forward,
    backward=_l2norm_backward,
    shapes=_l2norm_shapes,
    visible=1,
)
