"""A log decay for every key coordinate, in chunks: GLA (arXiv 2312.06635) and, with the erase term, KDA (2510.26692).

    G = cumsum g [C, K]     A_ij = s sum_d q_id k_jd e^{G_id - G_jd} (i >= j)     P_ij the same of k and k (i > j)
    M = beta P     X = (I + M)^-1     U = X beta V     W = X beta (K e^G)     R = U - W S
    O = s (Q e^G) S + A R     S' = e^{G_C} S + (K e^{G_C - G})^T R

Without the erase term M = W = 0 and R = V. A is not a product of Q e^G and K e^{-G}: e^{-G} overflows under strong
decay. It is built from squares that double in size. In a square whose columns end at row m, where its rows begin, both
e^{G_i - G_m} and e^{G_m - G_j} are <= 1, so the square is an ordinary product, exact for any decay; log2 C levels of
squares and the diagonal fill the triangle. W carries its minus sign. Not covered: second derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from move37.kernels.common.layout import Grid
from move37.kernels.common.operator import Arguments, Operator, accumulation_dtype, needs_gradient
from move37.kernels.common.state_scan import delta_state_scan, state_scan
from move37.kernels.common.triangular import unit_lower_inverse
from move37.kernels.ops.scalar_decay.chunked_forward import LOG2_E, smallest_log
from move37.kernels.ops.vector_decay.chunked_scores import scores, scores_backward

KEEP_ELEMENTS = 1 << 23  # of v: above it the forward pass is computed again
SEGMENT_ELEMENTS = 1 << 17  # of v: what goes through at once where nothing is kept


def chunk_size(time: int, width: int) -> int:
    """C, a power of two, by measurement: small heads want small chunks, which also pad short sequences less."""
    return min(16 if width <= 32 else 32, max(8, 1 << (time - 1).bit_length()))


def chunk_vector(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor | None,
    scale: float,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    *,
    want_state: bool,
) -> tuple[Tensor, Tensor | None]:
    """q, k [B, T, H, K], v [B, T, HV, V], g [B, T, HV, K], beta [B, T, HV] or None, state [N, HV, K, V] -> o, state.

    Raises BadSequences where `cu_seqlens` does not fit.
    """
    keep = needs_gradient(q, k, v, g, beta, state) and v.numel() <= KEEP_ELEMENTS
    if cu_seqlens is not None and torch.compiler.is_compiling():
        keep = False  # how much there is to keep depends on the sequences' lengths, which a compiler does not know
    o, final = _chunk_vector(q, k, v, g, beta, state, cu_seqlens, scale, want_state, keep)
    return o, final if want_state else None


def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor | None,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    scale: float,
    want_state: bool,
    keep: bool,
) -> tuple[Tensor, ...]:
    """-> o, the final state or nothing, and with `keep` what the backward pass needs."""
    if not keep and cu_seqlens is None:
        return _in_segments(q, k, v, g, beta, state, scale, want_state)
    grid = Grid.of(q, v, cu_seqlens, chunk_size)
    first = None if state is None else grid.states_in(state, accumulation_dtype(q))
    o, last, saved = _compute(grid, q, k, v, g, beta, first, scale)
    final = grid.states_out(last) if want_state else q.new_empty(0)
    return grid.join(o, grid.heads, q.dtype), final, *(saved if keep else ())


def _in_segments(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor | None,
    state: Tensor | None,
    scale: float,
    want_state: bool,
) -> tuple[Tensor, Tensor]:
    """-> o [B, T, HV, V] and, if wanted, the last state; each segment hands its state to the next."""
    batch, time, heads, values = v.shape
    chunk = chunk_size(time, q.shape[3])
    step = chunk * max(1, SEGMENT_ELEMENTS // (chunk * batch * heads * values))
    carried = None if state is None else state.to(accumulation_dtype(q)).flatten(0, 1)
    o = torch.empty_like(v, memory_format=torch.contiguous_format)
    for start in range(0, time, step):
        part = slice(start, min(time, start + step))
        grid = Grid.equal(batch, part.stop - start, heads, chunk)
        rates = None if beta is None else beta[:, part]
        rows, carried, _ = _compute(grid, q[:, part], k[:, part], v[:, part], g[:, part], rates, carried, scale)
        o[:, part] = grid.join(rows, heads, q.dtype)
    assert carried is not None
    return o, carried.view(batch, heads, *carried.shape[1:]) if want_state else q.new_empty(0)


def _compute(
    grid: Grid,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor | None,
    first: Tensor | None,
    scale: float,
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """-> O in chunk layout, the last states, and what to keep: s Q, K, V, G, A, S, and beta, X, R, -W if erasing."""
    dtype = accumulation_dtype(q)
    qc, kc, vc, gamma = (grid.split(x, dtype) for x in (q, k, v, g))
    qc.mul_(scale)
    # Decays are powers of two: exp2 is faster than exp. Logarithms end where their power is zero.
    gamma = gamma.clamp_(min=smallest_log(dtype)).mul_(LOG2_E).cumsum_(1)
    kd = (gamma[:, -1:] - gamma).exp2_().mul_(kc)
    step = gamma[:, -1].exp2().unsqueeze(-1)
    exp_gamma = gamma.exp2()
    if beta is None:
        a, _ = scores(qc, kc, gamma, erase=False)
        states, last = state_scan(step, torch.bmm(kd.mT, vc), first, grid.sizes, grid.batch_heads)
        o = torch.baddbmm(torch.bmm(a, vc), exp_gamma.mul_(qc), states)
        return o, last, (qc, kc, vc, gamma, a, states)
    a, p = scores(qc, kc, gamma, erase=True)
    bc = grid.split(beta, dtype).unsqueeze(-1)
    x = unit_lower_inverse(p.mul_(bc))
    solved = torch.mul(x, bc.mT, out=p)
    r, w = torch.bmm(solved, vc), torch.bmm(solved, kc * exp_gamma).neg_()
    states, last = delta_state_scan(r, w, kd, step, None, first, grid.sizes, grid.batch_heads)
    o = torch.baddbmm(torch.bmm(a, r), exp_gamma.mul_(qc), states)
    return o, last, (qc, kc, vc, gamma, a, states, bc, x, r, w)


def _backward(arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    q, k, v, g, beta, state, cu_seqlens, scale, want_state, _ = arguments
    do, dfinal = gradients
    grid, dtype = Grid.of(q, v, cu_seqlens, chunk_size), accumulation_dtype(q)
    first = None if state is None else grid.states_in(state, dtype)
    saved = kept or _compute(grid, q, k, v, g, beta, first, scale)[2]
    rows = torch.zeros_like(saved[2]) if do is None else grid.split(do, dtype)
    ends = None if dfinal is None or not want_state else grid.states_in(dfinal, dtype)
    dq, dk, dv, dg, dbeta, dstate = _gradients(saved, rows, ends, grid)
    found = [grid.join(dx, x.shape[2], x.dtype) for dx, x in ((dq.mul_(scale), q), (dk, k), (dv, v))]
    # A decay of nothing at all has no slope; what is left in dg there is rounding.
    found.append(grid.join(dg, g.shape[2], g.dtype).masked_fill_(g <= smallest_log(dtype), 0))
    if beta is not None and dbeta is not None:
        found.append(grid.join(dbeta, beta.shape[2], beta.dtype))
    if state is not None:
        found.append(grid.states_out(dstate).to(state.dtype))
    return found


def _gradients(
    saved: tuple[Tensor, ...], do: Tensor, dfinal: Tensor | None, grid: Grid
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor]:
    """Gradients of s Q, K, V, g, beta in chunk layout and of the initial state. README.md derives them."""
    q, k, v, gamma, a, states, *erasing = saved
    beta, x, r, w = erasing or (None, None, v, None)
    exp_gamma, exp_rest = gamma.exp2(), (gamma[:, -1:] - gamma).exp2_()
    step = gamma[:, -1].exp2().unsqueeze(-1)
    add, dr, kd = torch.bmm((q * exp_gamma).mT, do), torch.bmm(a.mT, do), k * exp_rest
    if w is None:
        after, first = state_scan(step, add, dfinal, grid.sizes, grid.batch_heads, back=True)
        dr.baddbmm_(kd, after)
    else:
        after, first = delta_state_scan(dr, kd, w, step, add, dfinal, grid.sizes, grid.batch_heads, back=True)
    dq, dk = torch.bmm(do, states.mT).mul_(exp_gamma), torch.bmm(r, after.mT).mul_(exp_rest)
    written = dk * k
    dg = written.cumsum(1).sub_(written).add_((after * states).sum(-1).mul_(step.squeeze(-1)).unsqueeze(1))
    da = torch.bmm(do, r.mT)
    dv, dbeta, dm, h = dr, None, None, None
    if beta is not None and x is not None:
        dbv = torch.bmm(x.mT, dr)
        dm, h = torch.bmm(dbv, r.mT).neg_(), torch.bmm(dbv, states.mT).mul_(exp_gamma).neg_()
        dv = dbv * beta
    dk_within = scores_backward(da, dm, q, k, beta, gamma, dq, h)
    # The diagonal of A comes last: no decay touches it, and under strong decay it would drown the rest of dg.
    crossing = (dq * q).sub_(dk_within * k)
    if beta is not None and h is not None:
        dbeta = (dbv * v).sum(-1).add_((k * h).sum(-1))
        h.mul_(beta)
        crossing.addcmul_(k, h)
        dk.add_(h)
    dg += crossing.flip(1).cumsum_(1).flip(1)
    diagonal = da.diagonal(dim1=1, dim2=2).unsqueeze(-1)
    return dq.addcmul_(diagonal, k), dk.add_(dk_within).addcmul_(diagonal, q), dv, dg, dbeta, first


def _shapes(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor | None,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    scale: float,
    want_state: bool,
    keep: bool,
) -> list[Tensor]:
    batch, time, heads, values = v.shape
    width, dtype = q.shape[3], accumulation_dtype(q)
    ends = batch if cu_seqlens is None else cu_seqlens.shape[0] - 1

    def like(*shape: int) -> Tensor:
        return q.new_empty(shape, dtype=dtype)

    found = [v.new_empty(v.shape), like(ends, heads, width, values) if want_state else q.new_empty(0)]
    if not keep:
        return found
    size = chunk_size(time, width)
    n = -(-time // size) * batch * heads
    row, wide, square = (n, size, width), (n, size, values), (n, size, size)
    kept = [row, row, wide, row, square, (n, width, values)]
    kept += [] if beta is None else [(n, size, 1), square, wide, row]
    return found + [like(*shape) for shape in kept]


_chunk_vector = Operator(
    "chunked_vector_decay",
    "Tensor q, Tensor k, Tensor v, Tensor g, Tensor? beta, Tensor? state, Tensor? cu_seqlens, float scale, "
    "bool want_state, bool keep",
    forward=_forward,
    backward=_backward,
    shapes=_shapes,
    visible=2,
)
