"""Gated linear attention: a log decay for every key coordinate (GLA, arXiv 2312.06635). Any device, fp32/fp64.

    G = cumsum g [C, K]     A_ij = s sum_d q_id k_jd e^{G_id - G_jd} (i >= j)     O = s (Q e^G) S + A V
    S' = e^{G_C} S + (K e^{G_C - G})^T V

A is not a product of Q e^G and K e^{-G}: e^{-G} overflows under strong decay. It is built from squares that double in
size. In a square whose columns end at row m, where its rows begin, both e^{G_i - G_m} and e^{G_m - G_j} are <= 1, so
the square is an ordinary product, exact for any decay; log2 C levels of squares and the diagonal fill the triangle.
Not covered: second derivatives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from move37.kernels.common.layout import Grid
from move37.kernels.common.state_scan import by_chunk, state_scan
from move37.kernels.ops.scalar_decay.chunked_forward import LOG2_E


def chunk_size(time: int, width: int) -> int:
    """C, a power of two, by measurement: small heads want small chunks, which also pad short sequences less."""
    return min(16 if width <= 32 else 32, 1 << (time - 1).bit_length())


def chunk_vector(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, scale: float, state: Tensor | None, *, want_state: bool
) -> tuple[Tensor, Tensor | None]:
    """q, k [B, T, H, K], v [B, T, HV, V], g [B, T, HV, K], state [B, HV, K, V] -> o [B, T, HV, V], state or None."""
    o, final = _ChunkVector.apply(q, k, v, g, state, scale, want_state)  # type: ignore[no-untyped-call]
    return o, final if want_state else None


class _ChunkVector(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, g: Tensor, state: Tensor | None, scale: float, want_state: bool
    ) -> tuple[Tensor, Tensor]:
        batch, time, heads, values = v.shape
        dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
        grid = Grid(batch=batch, time=time, heads=heads, chunk=chunk_size(time, q.shape[3]))
        qc, kc, vc, gamma = (grid.split(x, dtype) for x in (q, k, v, g))
        qc.mul_(scale)
        gamma = gamma.mul_(LOG2_E).cumsum_(1)  # decays are powers of two: exp2 is faster than exp
        a = _scores(qc, kc, gamma)
        batch_heads, width = grid.batch_heads, k.shape[3]
        kd = (gamma[:, -1:] - gamma).exp2_().mul_(kc)
        add = by_chunk(torch.bmm(kd.mT, vc), batch_heads)
        step = by_chunk(gamma[:, -1].exp2().unsqueeze(-1), batch_heads)
        first = (
            add.new_zeros(add.shape[1:]) if state is None else state.to(dtype).reshape(grid.batch_heads, width, values)
        )
        states = state_scan(step, add, first)
        o = torch.baddbmm(torch.bmm(a, vc), gamma.exp2().mul_(qc), states[:-1].flatten(0, 1))
        ctx.save_for_backward(qc, kc, vc, gamma, a, states)
        ctx.grid, ctx.scale, ctx.key_heads, ctx.dtypes = grid, scale, q.shape[2], (q.dtype, g.dtype)
        ctx.state_like = None if state is None else (state.shape, state.dtype)
        ctx.set_materialize_grads(False)
        final = states[-1].view(batch, heads, width, values).clone() if want_state else q.new_empty(0)
        return grid.join(o, heads, q.dtype), final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor | None, dfinal: Tensor | None) -> tuple[Tensor | None, ...]:
        q, k, v, gamma, a, states = ctx.saved_tensors
        grid: Grid = ctx.grid
        do_c = torch.zeros_like(v) if do is None else grid.split(do, v.dtype)
        dq, dk, dv, dg, dfirst = _backward(q, k, v, gamma, a, states, do_c, dfinal, grid)
        dtype, heads = ctx.dtypes[0], ctx.key_heads
        like = ctx.state_like
        return (
            grid.join(dq.mul_(ctx.scale), heads, dtype),
            grid.join(dk, heads, dtype),
            grid.join(dv, grid.heads, dtype),
            grid.join(dg, grid.heads, ctx.dtypes[1]),
            None if like is None else dfirst.view(like[0]).to(like[1]),
            None,
            None,
        )


def _backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    gamma: Tensor,
    a: Tensor,
    states: Tensor,
    do: Tensor,
    dfinal: Tensor | None,
    grid: Grid,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of s Q, K, V, g in chunk layout and of the initial state."""
    batch_heads = grid.batch_heads
    rise, fall = gamma.exp2(), (gamma[:, -1:] - gamma).exp2_()
    whole = gamma[:, -1].exp2().unsqueeze(-1)
    add = by_chunk(torch.bmm((q * rise).mT, do), batch_heads)
    first = add.new_zeros(add.shape[1:]) if dfinal is None else dfinal.to(v.dtype).reshape(add.shape[1:])
    later = state_scan(by_chunk(whole, batch_heads), add, first, back=True)
    after, before = later[1:].flatten(0, 1), states[:-1].flatten(0, 1)
    dv = torch.baddbmm(torch.bmm(a.mT, do), k * fall, after)
    dq = torch.bmm(do, before.mT).mul_(rise)
    dk = torch.bmm(v, after.mT).mul_(fall)
    written = dk * k
    dg = written.cumsum(1).sub_(written).add_((after * before).sum(-1).mul_(whole.squeeze(-1)).unsqueeze(1))
    da = torch.bmm(do, v.mT)
    dk_within = _scores_backward(da, q, k, gamma, dq)
    # The diagonal of A comes last: no decay touches it, and under strong decay it would drown the rest of dg.
    dg += (dq * q).sub_(dk_within * k).flip(1).cumsum_(1).flip(1)
    diagonal = da.diagonal(dim1=1, dim2=2).unsqueeze(-1)
    return dq.addcmul_(diagonal, k), dk.add_(dk_within).addcmul_(diagonal, q), dv, dg, later[0]


def _scores(q: Tensor, k: Tensor, gamma: Tensor) -> Tensor:
    """A [n, C, C], zero above the diagonal, from q (scaled), k and gamma [n, C, K]."""
    n, size, _ = q.shape
    a = q.new_zeros(n, size, size)
    a.diagonal(dim1=1, dim2=2).copy_((q * k).sum(-1))
    for block, rows, columns in _squares(q, k, gamma):
        _square(a, block).copy_(rows[0] @ columns[0].mT)
    return a


def _scores_backward(da: Tensor, q: Tensor, k: Tensor, gamma: Tensor, dq: Tensor) -> Tensor:
    """Add the gradient through A's squares to dq, and return that of k; da [n, C, C] is read below the diagonal."""
    dk = torch.zeros_like(k)
    for block, rows, columns in _squares(q, k, gamma):
        square = _square(da, block)
        _halves(dq, block)[1].add_((square @ columns[0]).mul_(rows[1]))
        _halves(dk, block)[0].add_((square.mT @ rows[0]).mul_(columns[1]))
    return dk


Side = tuple[Tensor, Tensor]  # the rescaled rows and the factors that rescaled them, [n, squares, block, K]


def _squares(q: Tensor, k: Tensor, gamma: Tensor) -> Iterator[tuple[int, Side, Side]]:
    block = 1
    while block < q.shape[1]:
        earlier, later = _halves(gamma, block)
        middle = earlier[:, :, -1:]
        rise, fall = (later - middle).exp2_(), (middle - earlier).exp2_()
        yield block, (_halves(q, block)[1] * rise, rise), (_halves(k, block)[0] * fall, fall)
        block *= 2


def _halves(x: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """[n, C, K] -> the first and second halves of each 2 * block rows, as views [n, C / (2 block), block, K]."""
    pairs = x.view(x.shape[0], -1, 2, block, x.shape[2])
    return pairs[:, :, 0], pairs[:, :, 1]


def _square(a: Tensor, block: int) -> Tensor:
    """The views [n, C / (2 block), block, block] of the squares below the diagonal at this level."""
    n, size, _ = a.shape
    lane, line, _ = a.stride()
    return a.as_strided((n, size // (2 * block), block, block), (lane, 2 * block * (line + 1), line, 1),
                        a.storage_offset() + block * line)  # fmt: skip
