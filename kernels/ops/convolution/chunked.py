"""Causal depthwise convolution as shifted multiply-adds in [batch, time, channels], with its backward by hand.

A transposed copy to [batch, channels, time], which nn.Conv1d wants, costs as much as the convolution itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from move37.kernels.common.operator import Arguments, Operator, accumulation_dtype, needs_gradient


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, past: Tensor | None, silu: bool) -> Tensor:
    """y_t = act(sum_i w_i x_{t-W+1+i} + b): x [B, T, D], weight [D, W], past [B, W-1, D] the inputs before -> y."""
    return _conv(x, weight, bias, past, silu, needs_gradient(x, weight, bias, past))[0]


def _forward(
    x: Tensor, weight: Tensor, bias: Tensor | None, past: Tensor | None, silu: bool, keep: bool
) -> tuple[Tensor, ...]:
    """-> y, and with `keep` what stands before the activation."""
    dtype = accumulation_dtype(x)
    taps, xs, ps = _taps(weight, dtype), x.to(dtype), None if past is None else past.to(dtype)
    pre = xs * taps[0] if bias is None else torch.addcmul(bias.to(dtype), xs, taps[0])
    for into, source, shift in _shifts(pre, xs, ps, taps.shape[0]):
        into.addcmul_(source, taps[shift])
    if not silu:
        return (pre.to(x.dtype),)
    y = torch.nn.functional.silu(pre).to(x.dtype)
    return (y, pre) if keep else (y,)


def _backward(arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    x, weight, bias, past, silu, _ = arguments
    dtype = accumulation_dtype(x)
    dy = torch.zeros_like(x) if gradients[0] is None else gradients[0]
    taps, xs, ps = _taps(weight, dtype), x.to(dtype), None if past is None else past.to(dtype)
    dpre = dy.to(dtype)
    if silu:
        dpre = torch.ops.aten.silu_backward(dpre, *kept)
    dpre = dpre.contiguous()
    dx = dpre * taps[0]
    dpast = None if ps is None else torch.zeros_like(ps)
    dtaps = torch.zeros_like(taps)
    dtaps[0] = (dpre * xs).sum((0, 1))
    for (into, source, shift), (dsource, _, _) in zip(
        _shifts(dpre, xs, ps, taps.shape[0]), _sources(dx, dpast, taps.shape[0]), strict=True
    ):
        dtaps[shift] += (into * source).sum((0, 1))
        dsource.addcmul_(into, taps[shift])
    found = [dx.to(x.dtype), dtaps.flip(0).t().to(weight.dtype).contiguous()]
    found += [] if bias is None else [dpre.sum((0, 1)).to(bias.dtype)]
    return found if dpast is None else [*found, dpast.to(past.dtype)]


def _shapes(
    x: Tensor, weight: Tensor, bias: Tensor | None, past: Tensor | None, silu: bool, keep: bool
) -> list[Tensor]:
    y = x.new_empty(x.shape)
    return [y, x.new_empty(x.shape, dtype=accumulation_dtype(x))] if silu and keep else [y]


_conv = Operator(
    "chunked_convolution",
    "Tensor x, Tensor weight, Tensor? bias, Tensor? past, bool silu, bool keep",
    forward=_forward,
    backward=_backward,
    shapes=_shapes,
    visible=1,
)


def _taps(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """[W, D]: row s multiplies the input s tokens earlier."""
    return weight.to(dtype).t().flip(0).contiguous()


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
