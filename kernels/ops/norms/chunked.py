"""RMSNorm with a SiLU gate, and l2norm, over the last axis, with backward passes that keep one number a row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def rms_norm_gated(
    x: Tensor, g: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sigmoid: bool
) -> Tensor:
    """(x rsqrt(mean x^2 + eps) w + b) act(g), act = SiLU or sigmoid; x, g [..., D], weight, bias [D]."""
    y: Tensor = _RmsNormGated.apply(x, g, weight, bias, eps, sigmoid)  # type: ignore[no-untyped-call]
    return y


def l2norm(x: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """x / sqrt(|x|^2 + eps) in `dtype`."""
    y: Tensor = _L2Norm.apply(x, eps, dtype)  # type: ignore[no-untyped-call]
    return y


def _compute(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


class _RmsNormGated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, g: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sigmoid: bool
    ) -> Tensor:
        dtype = _compute(x)
        xs, gs = x.to(dtype), g.to(dtype)
        size = xs.shape[-1]
        r = torch.linalg.vector_norm(xs, dim=-1, keepdim=True).square_().div_(size).add_(eps).rsqrt_()
        y: Tensor = xs * r
        if weight is not None:
            y.mul_(weight)
        if bias is not None:
            y.add_(bias)
        y.mul_(torch.sigmoid(gs) if sigmoid else F.silu(gs))
        ctx.save_for_backward(x, g, weight, bias, r)
        ctx.sigmoid = sigmoid
        out: Tensor = y.to(x.dtype)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, g, weight, bias, r = ctx.saved_tensors
        xs, gs, dys = x.to(r.dtype), g.to(r.dtype), dy.to(r.dtype)
        hat = xs * r
        normed = hat if weight is None else hat * weight
        if bias is not None:
            normed = normed + bias
        gate = torch.sigmoid(gs)
        if ctx.sigmoid:
            dnormed = dys * gate
            dg = torch.ops.aten.sigmoid_backward(dys * normed, gate)
        else:
            dnormed = dys * gate.mul_(gs)
            dg = torch.ops.aten.silu_backward(dys * normed, gs)
        rows = tuple(range(x.dim() - 1))
        dweight = None if weight is None else (dnormed * hat).sum(rows).to(weight.dtype)
        dbias = None if bias is None else dnormed.sum(rows).to(bias.dtype)
        dhat = dnormed if weight is None else dnormed.mul_(weight)
        along = (dhat * hat).mean(-1, keepdim=True)
        dx = dhat.addcmul_(hat, along, value=-1).mul_(r)
        return dx.to(x.dtype), dg.to(g.dtype), dweight, dbias, None, None


class _L2Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        xs = x.to(_compute(x))
        r = xs.square().sum(-1, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, r)
        y: Tensor = (xs * r).to(dtype)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, r = ctx.saved_tensors
        y, dys = x.to(r.dtype) * r, dy.to(r.dtype)
        along = (dys * y).sum(-1, keepdim=True)
        return torch.addcmul(dys, y, along, value=-1).mul_(r).to(x.dtype), None, None
