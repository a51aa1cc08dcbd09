"""Causal depthwise convolution as shifted multiply-adds in [batch, time, channels], with its backward by hand.

A transposed copy to [batch, channels, time], which nn.Conv1d wants, costs as much as the convolution itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, past: Tensor | None, silu: bool) -> Tensor:
    """y_t = act(sum_i w_i x_{t-W+1+i} + b): x [B, T, D], weight [D, W], past [B, W-1, D] the inputs before -> y."""
    y: Tensor = _Conv.apply(x, weight, bias, past, silu)  # type: ignore[no-untyped-call]
    return y


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, past: Tensor | None, silu: bool) -> Tensor:
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        taps = weight.to(dtype).t().flip(0).contiguous()  # [W, D]: taps[s] multiplies the input s tokens earlier
        xs, ps = x.to(dtype), None if past is None else past.to(dtype)
        pre = xs * taps[0] if bias is None else torch.addcmul(bias.to(dtype), xs, taps[0])
        for into, source, shift in _shifts(pre, xs, ps, taps.shape[0]):
            into.addcmul_(source, taps[shift])
        ctx.save_for_backward(xs, taps, ps, pre if silu else None)
        ctx.dtypes = tuple(None if t is None else t.dtype for t in (x, weight, bias, past))
        return (torch.nn.functional.silu(pre) if silu else pre).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, taps, past, pre = ctx.saved_tensors
        dpre = dy.to(x.dtype)
        if pre is not None:
            dpre = torch.ops.aten.silu_backward(dpre, pre)
        dpre = dpre.contiguous()
        dx = dpre * taps[0]
        dpast = None if past is None else torch.zeros_like(past)
        dtaps = torch.empty_like(taps)
        dtaps[0] = (dpre * x).sum((0, 1))
        dtaps[1:].zero_()
        for (into, source, shift), (dsource, _, _) in zip(
            _shifts(dpre, x, past, taps.shape[0]), _sources(dx, dpast, taps.shape[0]), strict=True
        ):
            dtaps[shift] += (into * source).sum((0, 1))
            dsource.addcmul_(into, taps[shift])
        types = ctx.dtypes
        return (
            dx.to(types[0]),
            dtaps.flip(0).t().to(types[1]),
            None if types[2] is None else dpre.sum((0, 1)).to(types[2]),
            None if dpast is None else dpast.to(types[3]),
            None,
        )


Shift = tuple[Tensor, Tensor, int]  # the outputs that a tap reaches, the inputs it reads, its distance in tokens


def _shifts(y: Tensor, x: Tensor, past: Tensor | None, width: int) -> list[Shift]:
    time = x.shape[1]
    found = [(y[:, s:], x[:, : time - s], s) for s in range(1, min(width, time))]
    if past is not None:
        for s in range(1, width):
            reach = min(s, time)
            found.append((y[:, :reach], past[:, width - 1 - s : width - 1 - s + reach], s))
    return found


def _sources(x: Tensor, past: Tensor | None, width: int) -> list[Shift]:
    """The same list with the inputs in the first place: where the gradients of the inputs go."""
    return [(source, source, s) for _, source, s in _shifts(x, x, past, width)]
