"""A diagonal decay plus a rank-one change of the state, in chunks: RWKV-7 (arXiv 2503.14456) and its kind.

    G = cumsum g [C, K]     G' = G one token earlier     A^xy_ij = sum_d x_id y_jd e^{G_id - G_jd}, G' where x is a
    X = (I - A^ab)^-1     W = X (a e^{G'})     R = X A^ak V + W S     (R_i = a_i S_{i-1}: what is read and rewritten)
    O = s (Q e^G) S + A^qk V + A^qb R     S' = e^{G_C} S + (K e^{G_C - G})^T V + (b e^{G_C - G})^T R

A^ak and A^ab are strictly lower, A^qk and A^qb have their diagonal. They are built as vector_decay's, from squares that
double in size, exact for any decay. Nothing is bounded here: where |a||b| is large the recurrence itself grows. Which
loop goes over the chunks is given: triton.py has another. Not covered: second derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from move37.kernels.common.layout import Grid
from move37.kernels.common.operator import Arguments, Operator, accumulation_dtype
from move37.kernels.common.state_scan import delta_state_scan
from move37.kernels.common.triangular import unit_lower_inverse
from move37.kernels.ops.low_rank.chunked_scores import scores, scores_backward
from move37.kernels.ops.scalar_decay.chunked_forward import LOG2_E, smallest_log
from move37.kernels.ops.vector_decay.chunked import chunk_size

Scan = Callable[..., tuple[Tensor, Tensor]]  # state_scan.delta_state_scan, or what does the same


def chunk_low_rank(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    g: Tensor,
    scale: float,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    *,
    want_state: bool,
) -> tuple[Tensor, Tensor | None]:
    """q, k, a, b [B, T, H, K], v [B, T, HV, V], g [B, T, HV, K], state [N, HV, K, V] or None -> o, state.

    Raises BadSequences where `cu_seqlens` does not fit.
    """
    o, final = _chunk_low_rank(q, k, v, a, b, g, state, cu_seqlens, scale, want_state)
    return o, final if want_state else None


class _Chunks:
    """What both passes need of the inputs, in chunk layout; `solve` adds the states. Read the module's docstring."""

    def __init__(self, grid: Grid, tensors: Sequence[Tensor], scale: float, scan: Scan) -> None:
        q, k, v, a, b, g = tensors
        dtype = accumulation_dtype(q)
        self.grid, self.scan = grid, scan
        self.v, gamma = grid.split(v, dtype), grid.split(g, dtype)
        self.rows = torch.stack([grid.split(q, dtype).mul_(scale), grid.split(a, dtype)], 1)  # [n, 2, C, K]
        self.columns = torch.stack([grid.split(k, dtype), grid.split(b, dtype)], 1)
        # Decays are powers of two: exp2 is faster than exp. Logarithms end where their power is zero.
        self.gamma = gamma.clamp_(min=smallest_log(dtype)).mul_(LOG2_E).cumsum_(1)
        self.before = torch.cat((torch.zeros_like(self.gamma[:, :1]), self.gamma[:, :-1]), 1)
        self.step = self.gamma[:, -1].exp2().unsqueeze(-1)  # [n, K, 1]
        self.rest = (self.gamma[:, -1:] - self.gamma).exp2_()
        self.reach = torch.stack([self.gamma, self.before], 1).exp2_()
        self.a = scores(self.rows, self.columns, self.gamma, self.before)  # [n, 2, 2, C, C]
        for c in range(2):
            diagonal = (self.rows[:, 0] * self.columns[:, c]).sum(-1)
            self.a[:, 0, c].diagonal(dim1=1, dim2=2).copy_(diagonal)

    def solve(self, first: Tensor | None) -> tuple[Tensor, Tensor]:
        """-> O [n, C, V] and the last states; keeps X, W, R and the states before each chunk."""
        (qk, qb), (ak, ab) = (self.a[:, r].unbind(1) for r in range(2))
        reads = self.rows * self.reach
        self.x = unit_lower_inverse(-ab)
        self.w = self.x @ reads[:, 1]
        self.r = self.x @ (ak @ self.v)
        kd, bd = (self.columns[:, c] * self.rest for c in range(2))
        self.states, last = self.scan(
            self.r, self.w, bd, self.step, kd.mT @ self.v, first, self.grid.sizes, self.grid.batch_heads
        )
        return torch.baddbmm(qk @ self.v, reads[:, 0], self.states).baddbmm_(qb, self.r), last

    def gradients(self, do: Tensor, dfinal: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """-> those of rows, columns, v, g in chunk layout and of the initial state. README.md derives them."""
        (qk, qb), (ak, _) = (self.a[:, r].unbind(1) for r in range(2))
        reads, (kd, bd) = self.rows * self.reach, (self.columns[:, c] * self.rest for c in range(2))
        dr = qb.mT @ do
        after, first = self.scan(
            dr, bd, self.w, self.step, reads[:, 0].mT @ do, dfinal,
            self.grid.sizes, self.grid.batch_heads, back=True,
        )  # fmt: skip
        y = self.x.mT @ dr
        dv = qk.mT @ do + ak.mT @ y + kd @ after
        values = torch.stack([self.v, self.r], 1)  # what k and b bring
        given = torch.stack([do, y], 1)  # what comes back to q's and to a's rows
        da = given.unsqueeze(2) @ values.mT.unsqueeze(1)  # [n, 2, 2, C, C], read as A is
        drows = given @ self.states.mT.unsqueeze(1) * self.reach
        dcolumns = values @ after.mT.unsqueeze(1) * self.rest.unsqueeze(1)
        dg = _moved((dcolumns * self.columns).sum(1), 1).cumsum(1)
        dg += ((after * self.states).sum(-1) * self.step.squeeze(-1)).unsqueeze(1)
        # No decay lies between a query and its own token, nor between what `a` reads and the token before it: these
        # come last. Under strong decay they would drown the rest of dg.
        near = [(0, c, 0, da[:, 0, c].diagonal(0, 1, 2).clone()) for c in range(2)]
        near += [(1, c, 1, da[:, 1, c].diagonal(-1, 1, 2).clone()) for c in range(2)]
        for c in range(2):
            da[:, 1, c].diagonal(-1, 1, 2).zero_()
        within, across = scores_backward(da, self.rows, self.columns, self.gamma, self.before)
        drows += within
        dcolumns += across
        ahead = drows[:, 0] * self.rows[:, 0] - (across * self.columns).sum(1)
        ahead += _moved(drows[:, 1] * self.rows[:, 1], -1)  # these rows have decayed up to the token before
        dg += ahead.flip(1).cumsum(1).flip(1)
        size = self.rows.shape[2]
        for r, c, apart, gradient in near:
            drows[:, r, apart:].addcmul_(gradient.unsqueeze(-1), self.columns[:, c, : size - apart])
            dcolumns[:, c, : size - apart].addcmul_(gradient.unsqueeze(-1), self.rows[:, r, apart:])
        return drows, dcolumns, dv, dg, first


def _moved(x: Tensor, by: int) -> Tensor:
    """One token later (1) or earlier (-1), zeros where nothing comes from: sums without a token's own share."""
    gap = torch.zeros_like(x[:, :1])
    return torch.cat((gap, x[:, :-1]) if by > 0 else (x[:, 1:], gap), 1)


def _forward(
    scan: Scan,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    g: Tensor,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    scale: float,
    want_state: bool,
) -> tuple[Tensor, ...]:
    """-> o, the final state or nothing."""
    grid = Grid.of(q, v, cu_seqlens, chunk_size)
    chunks = _Chunks(grid, (q, k, v, a, b, g), scale, scan)
    o, last = chunks.solve(None if state is None else grid.states_in(state, accumulation_dtype(q)))
    return grid.join(o, grid.heads, q.dtype), grid.states_out(last) if want_state else q.new_empty(0)


def _backward(
    scan: Scan, arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]
) -> list[Tensor]:
    """The forward pass once more, then its gradients: eight triangles a chunk are too much to keep."""
    *tensors, state, cu_seqlens, scale, want_state = arguments
    q, k, v, a, b, g = tensors
    do, dfinal = gradients
    grid, dtype = Grid.of(q, v, cu_seqlens, chunk_size), accumulation_dtype(q)
    chunks = _Chunks(grid, tensors, scale, scan)
    chunks.solve(None if state is None else grid.states_in(state, dtype))
    rows = torch.zeros_like(chunks.v) if do is None else grid.split(do, dtype)
    ends = None if dfinal is None or not want_state else grid.states_in(dfinal, dtype)
    drows, dcolumns, dv, dg, dstate = chunks.gradients(rows, ends)
    of_inputs = ((drows[:, 0] * scale, q), (dcolumns[:, 0], k), (dv, v), (drows[:, 1], a), (dcolumns[:, 1], b))
    found = [grid.join(dx.contiguous(), x.shape[2], x.dtype) for dx, x in of_inputs]
    # A decay of nothing at all has no slope; what is left in dg there is rounding.
    found.append(grid.join(dg, g.shape[2], g.dtype).masked_fill_(g <= smallest_log(dtype), 0))
    if state is not None:
        found.append(grid.states_out(dstate).to(state.dtype))
    return found


def _shapes(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    g: Tensor,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    scale: float,
    want_state: bool,
) -> list[Tensor]:
    ends = v.shape[0] if cu_seqlens is None else cu_seqlens.shape[0] - 1
    final = (ends, v.shape[2], q.shape[3], v.shape[3]) if want_state else (0,)
    return [v.new_empty(v.shape), q.new_empty(final, dtype=accumulation_dtype(q) if want_state else q.dtype)]


def operator(name: str, scan: Scan) -> Operator:
    """(q, k, v, a, b, g, state, cu_seqlens, scale, want_state) -> o, the final state or nothing."""
    return Operator(
        name,
        "Tensor q, Tensor k, Tensor v, Tensor a, Tensor b, Tensor g, Tensor? state, Tensor? cu_seqlens, float scale, "
        "bool want_state",
        forward=partial(_forward, scan),
        backward=partial(_backward, scan),
        shapes=_shapes,
        visible=2,
    )


_chunk_low_rank = operator("chunked_low_rank", delta_state_scan)
