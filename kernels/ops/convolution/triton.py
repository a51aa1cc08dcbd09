"""Causal depthwise convolution: a tile of time and channels a program. Backward in two kernels: the gradient before
the activation with partial sums for the taps, then the reversed convolution, which also reaches the inputs before."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from move37.kernels.common.operator import Arguments, Operator

ROWS, CHANNELS = 64, 64


@triton.jit
def input_at(x, past, b, t, d, time, D: tl.constexpr, W: tl.constexpr, PAST: tl.constexpr):
    """x at times t [BT] and channels d [BD]; negative times are the W - 1 inputs before, or zero."""
    known = (t[:, None] >= 0) & (t[:, None] < time) & (d[None, :] < D)
    found = tl.load(x + (b * time + t)[:, None] * D + d[None, :], mask=known, other=0.0).to(tl.float32)
    if PAST:
        earlier = (t[:, None] < 0) & (t[:, None] >= 1 - W) & (d[None, :] < D)
        at = (b * (W - 1) + t + W - 1)[:, None] * D + d[None, :]
        found += tl.load(past + at, mask=earlier, other=0.0).to(tl.float32)
    return found


@triton.jit
def before_activation(
    x, past, weight, bias, b, t, d, time, D: tl.constexpr, W: tl.constexpr, PAST: tl.constexpr, BIAS: tl.constexpr
):  # fmt: skip
    """The convolution at [BT, BD]."""
    pre = input_at(x, past, b, t, d, time, D, W, PAST) * tl.load(weight + d * W + W - 1, mask=d < D, other=0.0)[None, :]
    for shift in tl.static_range(1, W):
        tap = tl.load(weight + d * W + W - 1 - shift, mask=d < D, other=0.0).to(tl.float32)
        pre += input_at(x, past, b, t - shift, d, time, D, W, PAST) * tap[None, :]
    if BIAS:
        pre += tl.load(bias + d, mask=d < D, other=0.0).to(tl.float32)[None, :]
    return pre


@triton.jit
def conv_forward(
    x, past, weight, bias, y, time, D: tl.constexpr, W: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr,
    PAST: tl.constexpr, BIAS: tl.constexpr, SILU: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(2).to(tl.int64)
    t, d = tl.program_id(0) * BT + tl.arange(0, BT), tl.program_id(1) * BD + tl.arange(0, BD)
    out = before_activation(x, past, weight, bias, b, t, d, time, D, W, PAST, BIAS)
    if SILU:
        out *= tl.sigmoid(out)
    valid = (t[:, None] < time) & (d[None, :] < D)
    tl.store(y + (b * time + t)[:, None] * D + d[None, :], out.to(y.dtype.element_ty), mask=valid)


@triton.jit
def conv_backward_taps(
    x, past, weight, bias, dy, dpre, dweight, dbias, time,
    D: tl.constexpr, W: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr,
    PAST: tl.constexpr, BIAS: tl.constexpr, SILU: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(2).to(tl.int64)
    t, d = tl.program_id(0) * BT + tl.arange(0, BT), tl.program_id(1) * BD + tl.arange(0, BD)
    valid = (t[:, None] < time) & (d[None, :] < D)
    at = (b * time + t)[:, None] * D + d[None, :]
    asked = tl.load(dy + at, mask=valid, other=0.0).to(tl.float32)
    if SILU:
        pre = before_activation(x, past, weight, bias, b, t, d, time, D, W, PAST, BIAS)
        sigma = tl.sigmoid(pre)
        asked *= sigma * (1 + pre * (1 - sigma))
    tl.store(dpre + at, asked, mask=valid)
    own = (b * tl.num_programs(0) + tl.program_id(0)) * D + d
    for shift in tl.static_range(0, W):
        reached = tl.sum(asked * input_at(x, past, b, t - shift, d, time, D, W, PAST), 0)
        tl.store(dweight + own * W + W - 1 - shift, reached, mask=d < D)
    if BIAS:
        tl.store(dbias + own, tl.sum(asked, 0), mask=d < D)


@triton.jit
def conv_backward_inputs(
    dpre, weight, dx, time, D: tl.constexpr, W: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr, BEFORE: tl.constexpr
):  # fmt: skip
    """dx [B, BEFORE + time, D]: its first BEFORE rows belong to the inputs before."""
    b = tl.program_id(2).to(tl.int64)
    out, d = tl.program_id(0) * BT + tl.arange(0, BT), tl.program_id(1) * BD + tl.arange(0, BD)
    t = out - BEFORE
    total = tl.zeros((BT, BD), tl.float32)
    for shift in tl.static_range(0, W):
        later = t + shift
        known = (later[:, None] >= 0) & (later[:, None] < time) & (d[None, :] < D)
        tap = tl.load(weight + d * W + W - 1 - shift, mask=d < D, other=0.0).to(tl.float32)
        total += tl.load(dpre + (b * time + later)[:, None] * D + d[None, :], mask=known, other=0.0) * tap[None, :]
    valid = (t[:, None] < time) & (d[None, :] < D)
    tl.store(dx + (b * (time + BEFORE) + out)[:, None] * D + d[None, :], total.to(dx.dtype.element_ty), mask=valid)


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, past: Tensor | None, silu: bool) -> Tensor:
    """y_t = act(sum_i w_i x_{t-W+1+i} + b): x [B, T, D], weight [D, W], past [B, W-1, D] the inputs before -> y."""
    return _conv(x, weight, bias, past, silu)[0]


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None, past: Tensor | None, silu: bool) -> tuple[Tensor, ...]:
    x, weight = x.contiguous(), weight.contiguous()
    bias, past = (None if t is None else t.contiguous() for t in (bias, past))
    y = torch.empty_like(x)
    grid, sizes = _grid(x, weight.shape[1], 0)
    conv_forward[grid](x, past, weight, bias, y, x.shape[1], **sizes, **_flags(bias, past, silu))
    return (y,)


def _backward(arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    x, weight, bias, past, silu = arguments
    x, weight = x.contiguous(), weight.contiguous()
    bias, past = (None if t is None else t.contiguous() for t in (bias, past))
    dy = torch.zeros_like(x) if gradients[0] is None else gradients[0].contiguous()
    batch, time, channels = x.shape
    width = weight.shape[1]
    grid, sizes = _grid(x, width, 0)
    dpre = torch.empty_like(x, dtype=torch.float32)
    dweight = dpre.new_empty(batch * grid[0], channels, width)
    dbias = None if bias is None else dpre.new_empty(batch * grid[0], channels)
    flags = _flags(bias, past, silu)
    conv_backward_taps[grid](x, past, weight, bias, dy, dpre, dweight, dbias, time, **sizes, **flags)
    before = 0 if past is None else width - 1
    dx = x.new_empty(batch, before + time, channels)
    conv_backward_inputs[_grid(x, width, before)[0]](dpre, weight, dx, time, **sizes, BEFORE=before)
    found = [dx[:, before:].contiguous(), dweight.sum(0).to(weight.dtype)]
    found += [] if bias is None or dbias is None else [dbias.sum(0).to(bias.dtype)]
    return found if past is None else [*found, dx[:, :before].to(past.dtype, copy=True)]


def _shapes(x: Tensor, weight: Tensor, bias: Tensor | None, past: Tensor | None, silu: bool) -> list[Tensor]:
    return [x.new_empty(x.shape)]


_conv = Operator(
    "triton_convolution",
    "Tensor x, Tensor weight, Tensor? bias, Tensor? past, bool silu",
    forward=_forward,
    backward=_backward,
    shapes=_shapes,
    visible=1,
)


def _flags(bias: Tensor | None, past: Tensor | None, silu: bool) -> dict[str, bool]:
    return {"PAST": past is not None, "BIAS": bias is not None, "SILU": silu}


def _grid(x: Tensor, width: int, before: int) -> tuple[tuple[int, int, int], dict[str, int]]:
    batch, time, channels = x.shape
    sizes = {"D": channels, "W": width, "BT": ROWS, "BD": min(CHANNELS, triton.next_power_of_2(channels))}
    return (triton.cdiv(time + before, ROWS), triton.cdiv(channels, sizes["BD"]), batch), sizes
