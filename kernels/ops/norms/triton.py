"""RMSNorm with a gate, and l2norm: one pass over memory each way, a tile of rows a program. Weight gradients: one
partial sum a program, added up outside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from move37.kernels.common.operator import Arguments, Operator

TILE_ELEMENTS = 8192


@triton.jit
def inverse_length(values, eps, D: tl.constexpr):
    """1 / sqrt(|x|^2 / D + eps) of each row; one whose square would overflow is divided by its largest number first."""
    top = tl.max(tl.abs(values), 1)
    top = tl.where((top > 1e18) & (top < float("inf")), top, 1.0)
    unit = values / top[:, None]
    return tl.rsqrt(tl.sum(unit * unit, 1) / D + eps / top / top) / top


@triton.jit
def l2_forward(x, y, rows, eps, D: tl.constexpr, BD: tl.constexpr, BR: tl.constexpr):
    r, d = tl.program_id(0) * BR + tl.arange(0, BR), tl.arange(0, BD)
    at, valid = r.to(tl.int64)[:, None] * D + d[None, :], (r[:, None] < rows) & (d[None, :] < D)
    values = tl.load(x + at, mask=valid, other=0.0).to(tl.float32)
    factor = inverse_length(values, eps, 1)
    tl.store(y + at, (values * factor[:, None]).to(y.dtype.element_ty), mask=valid)


@triton.jit
def l2_backward(x, dy, dx, rows, eps, D: tl.constexpr, BD: tl.constexpr, BR: tl.constexpr):
    r, d = tl.program_id(0) * BR + tl.arange(0, BR), tl.arange(0, BD)
    at, valid = r.to(tl.int64)[:, None] * D + d[None, :], (r[:, None] < rows) & (d[None, :] < D)
    values = tl.load(x + at, mask=valid, other=0.0).to(tl.float32)
    asked = tl.load(dy + at, mask=valid, other=0.0).to(tl.float32)
    factor = inverse_length(values, eps, 1)[:, None]
    unit = values * factor
    along = tl.sum(asked * unit, 1)[:, None]
    tl.store(dx + at, ((asked - unit * along) * factor).to(dx.dtype.element_ty), mask=valid)


@triton.jit
def gated_forward(
    x, g, weight, bias, y, rows, eps,
    D: tl.constexpr, BD: tl.constexpr, BR: tl.constexpr,
    WEIGHT: tl.constexpr, BIAS: tl.constexpr, SIGMOID: tl.constexpr,
):  # fmt: skip
    r, d = tl.program_id(0) * BR + tl.arange(0, BR), tl.arange(0, BD)
    at, valid = r.to(tl.int64)[:, None] * D + d[None, :], (r[:, None] < rows) & (d[None, :] < D)
    values = tl.load(x + at, mask=valid, other=0.0).to(tl.float32)
    gate = tl.load(g + at, mask=valid, other=0.0).to(tl.float32)
    out = values * inverse_length(values, eps, D)[:, None]
    if WEIGHT:
        out *= tl.load(weight + d, mask=d < D, other=0.0).to(tl.float32)[None, :]
    if BIAS:
        out += tl.load(bias + d, mask=d < D, other=0.0).to(tl.float32)[None, :]
    act = tl.sigmoid(gate)
    if not SIGMOID:
        act *= gate
    tl.store(y + at, (out * act).to(y.dtype.element_ty), mask=valid)


@triton.jit
def gated_backward(
    x, g, weight, bias, dy, dx, dg, dweight, dbias, rows, eps, tiles,
    D: tl.constexpr, BD: tl.constexpr, BR: tl.constexpr,
    WEIGHT: tl.constexpr, BIAS: tl.constexpr, SIGMOID: tl.constexpr,
):  # fmt: skip
    d = tl.arange(0, BD)
    into_weight, into_bias = tl.zeros((BD,), tl.float32), tl.zeros((BD,), tl.float32)
    w = tl.zeros((BD,), tl.float32) + 1.0
    b = tl.zeros((BD,), tl.float32)
    if WEIGHT:
        w = tl.load(weight + d, mask=d < D, other=0.0).to(tl.float32)
    if BIAS:
        b = tl.load(bias + d, mask=d < D, other=0.0).to(tl.float32)
    for tile in range(tl.program_id(0), tiles, tl.num_programs(0)):
        r = tile * BR + tl.arange(0, BR)
        at, valid = r.to(tl.int64)[:, None] * D + d[None, :], (r[:, None] < rows) & (d[None, :] < D)
        values = tl.load(x + at, mask=valid, other=0.0).to(tl.float32)
        gate = tl.load(g + at, mask=valid, other=0.0).to(tl.float32)
        asked = tl.load(dy + at, mask=valid, other=0.0).to(tl.float32)
        factor = inverse_length(values, eps, D)[:, None]
        hat = values * factor
        sigma = tl.sigmoid(gate)
        if SIGMOID:
            act, slope = sigma, sigma * (1 - sigma)
        else:
            act, slope = sigma * gate, sigma * (1 + gate * (1 - sigma))
        normed = hat * w[None, :] + b[None, :]
        tl.store(dg + at, (asked * normed * slope).to(dg.dtype.element_ty), mask=valid)
        dnormed = asked * act
        into_weight += tl.sum(dnormed * hat, 0)
        into_bias += tl.sum(dnormed, 0)
        dhat = dnormed * w[None, :]
        along = tl.sum(dhat * hat, 1)[:, None] / D
        tl.store(dx + at, ((dhat - hat * along) * factor).to(dx.dtype.element_ty), mask=valid)
    own = tl.program_id(0) * D + d
    if WEIGHT:
        tl.store(dweight + own, into_weight, mask=d < D)
    if BIAS:
        tl.store(dbias + own, into_bias, mask=d < D)


def l2norm(x: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """x / sqrt(|x|^2 + eps) over the last axis, in `dtype`."""
    y: Tensor = _l2norm(x, eps, dtype)[0]
    return y


def rms_norm_gated(
    x: Tensor, g: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sigmoid: bool
) -> Tensor:
    """(x rsqrt(mean x^2 + eps) w + b) act(g) over the last axis."""
    y: Tensor = _gated(x, g, weight, bias, eps, sigmoid)[0]
    return y


def _tiles(x: Tensor, elements: int = TILE_ELEMENTS) -> tuple[int, int, dict[str, int]]:
    """Rows of x [.., D], tiles of rows, and the compile-time sizes."""
    size = x.shape[-1]
    wide = triton.next_power_of_2(size)
    high = max(1, min(64, elements // wide))
    rows = x.numel() // size
    return rows, triton.cdiv(rows, high), {"D": size, "BD": wide, "BR": high}


def _l2_forward(x: Tensor, eps: float, dtype: torch.dtype) -> tuple[Tensor, ...]:
    x = x.contiguous()
    rows, tiles, sizes = _tiles(x)
    y = torch.empty_like(x, dtype=dtype)
    l2_forward[(tiles,)](x, y, rows, eps, **sizes)
    return (y,)


def _l2_backward(arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    x, eps = arguments[0].contiguous(), arguments[1]
    rows, tiles, sizes = _tiles(x)
    dx = torch.empty_like(x)
    dy = torch.zeros_like(x) if gradients[0] is None else gradients[0].contiguous()
    l2_backward[(tiles,)](x, dy, dx, rows, eps, **sizes)
    return [dx]


def _l2_shapes(x: Tensor, eps: float, dtype: torch.dtype) -> list[Tensor]:
    return [x.new_empty(x.shape, dtype=dtype)]


_l2norm = Operator(
    "triton_l2norm",
    "Tensor x, float eps, ScalarType dtype",
    forward=_l2_forward,
    backward=_l2_backward,
    shapes=_l2_shapes,
    visible=1,
)


def _gated_forward(
    x: Tensor, g: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sigmoid: bool
) -> tuple[Tensor, ...]:
    x, g = x.contiguous(), g.contiguous()
    rows, tiles, sizes = _tiles(x)
    y = torch.empty_like(x)
    gated_forward[(tiles,)](x, g, weight, bias, y, rows, eps, **sizes, **_flags(weight, bias, sigmoid))
    return (y,)


def _gated_backward(arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    x, g, weight, bias, eps, sigmoid = arguments
    x, g = x.contiguous(), g.contiguous()
    dy = torch.zeros_like(x) if gradients[0] is None else gradients[0].contiguous()
    rows, tiles, sizes = _tiles(x, TILE_ELEMENTS // 2)  # more is alive at once than in the forward pass
    programs = min(tiles, 512)
    dx, dg = torch.empty_like(x), torch.empty_like(g)
    partial = [
        None if t is None else torch.empty(programs, x.shape[-1], dtype=torch.float32, device=x.device)
        for t in (weight, bias)
    ]
    gated_backward[(programs,)](
        x,
        g,
        weight,
        bias,
        dy,
        dx,
        dg,
        *partial,
        rows,
        eps,
        tiles,
        **sizes,
        **_flags(weight, bias, sigmoid),
        num_warps=8,
    )
    into = [p.sum(0).to(t.dtype) for p, t in zip(partial, (weight, bias), strict=True) if p is not None]
    return [dx, dg, *into]


def _gated_shapes(
    x: Tensor, g: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sigmoid: bool
) -> list[Tensor]:
    return [x.new_empty(x.shape)]


_gated = Operator(
    "triton_rms_norm_gated",
    "Tensor x, Tensor g, Tensor? weight, Tensor? bias, float eps, bool sigmoid",
    forward=_gated_forward,
    backward=_gated_backward,
    shapes=_gated_shapes,
    visible=1,
)


def _flags(weight: Tensor | None, bias: Tensor | None, sigmoid: bool) -> dict[str, bool]:
    return {"WEIGHT": weight is not None, "BIAS": bias is not None, "SIGMOID": sigmoid}
