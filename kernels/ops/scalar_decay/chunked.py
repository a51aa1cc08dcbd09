"""The scalar-decay family in chunks: linear attention, RetNet, Mamba-2, DeltaNet, Gated DeltaNet.

The operator and its place in autograd; chunked_forward.py has the forward pass and the symbols, chunked_backward.py the
gradients. Where nothing is kept a long sequence goes through in segments: they stay in the cache, and their memory is
used again instead of going back to the system. What the forward pass computed is kept while it is small, and otherwise
computed again. Packed sequences are cut into chunks each for itself. Not covered: second derivatives; vector decay.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from move37.kernels.common.layout import Grid
from move37.kernels.common.operator import Arguments, Operator, accumulation_dtype, needs_gradient
from move37.kernels.ops.scalar_decay.chunked_backward import backward
from move37.kernels.ops.scalar_decay.chunked_forward import forward, rebuild, smallest_log

KEEP_ELEMENTS = 1 << 23  # of v: above it the forward pass is computed again
SEGMENT_ELEMENTS = 1 << 17  # of v: what goes through at once where nothing is kept

Inputs = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]


def chunk_size(time: int, width: int) -> int:
    """C, a power of two, by measurement (docs/figures/kernels.md): small heads want small chunks."""
    return 16 if width <= 32 or time <= 16 else 32 if width <= 64 else 64


def chunk_delta(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    scale: float,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    *,
    want_state: bool,
    normalise: bool,
) -> tuple[Tensor, Tensor | None]:
    """The family of this module; no erase term where `beta` is None.

    q, k [B, T, H, K], v [B, T, HV, V], g, beta [B, T, HV], state [N, HV, K, V] -> o [B, T, HV, V], state or None.
    Raises BadSequences where `cu_seqlens` does not fit.
    """
    keep = needs_gradient(q, k, v, g, beta, state) and v.numel() <= KEEP_ELEMENTS
    if cu_seqlens is not None and torch.compiler.is_compiling():
        keep = False  # how much there is to keep depends on the sequences' lengths, which a compiler does not know
    o, final = _chunk_delta(q, k, v, g, beta, state, cu_seqlens, scale, want_state, normalise, keep)
    return o, final if want_state else None


def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    scale: float,
    want_state: bool,
    normalise: bool,
    keep: bool,
) -> tuple[Tensor, ...]:
    """-> o, the final state or nothing, and with `keep` what the backward pass needs."""
    inputs = (q, k, v, g, beta, state)
    if not keep and cu_seqlens is None:
        return _in_segments(inputs, scale, want_state, normalise)
    grid = Grid.of(q, v, cu_seqlens, chunk_size)
    dtype, stateful = accumulation_dtype(q), _stateful(grid, state, want_state)
    first = None if state is None else grid.states_in(state, dtype)
    rows, saved = forward(grid, q, k, v, g, beta, first, scale, stateful, normalise)
    o = grid.join(rows, grid.heads, q.dtype)
    final = grid.states_out(saved.last) if want_state and saved.last is not None else q.new_empty(0)
    return o, final, *(saved.tensors() if keep else ())


def _backward(arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    q, k, v, g, beta, state, cu_seqlens, scale, want_state, normalise, _ = arguments
    do, dfinal = gradients
    grid = Grid.of(q, v, cu_seqlens, chunk_size)
    dtype, stateful = accumulation_dtype(q), _stateful(grid, state, want_state)
    if kept:
        saved = rebuild(
            kept, decays=g is not None, erases=beta is not None, stateful=stateful, normalised=normalise
        )  # fmt: skip
    else:
        first = None if state is None else grid.states_in(state, dtype)
        _, saved = forward(grid, q, k, v, g, beta, first, scale, stateful, normalise)
    rows = torch.zeros_like(saved.v) if do is None else grid.split(do, dtype)
    ends = None if dfinal is None or not want_state else grid.states_in(dfinal, dtype)
    dq, dk, dv, dg, dbeta, dstate = backward(saved, grid, rows, ends, scale)
    found = [grid.join(dx, x.shape[2], x.dtype) for dx, x in ((dq, q), (dk, k), (dv, v))]
    if g is not None and dg is not None:
        # A decay of nothing at all has no slope; what is left in dg there is rounding.
        found.append(grid.join(dg, g.shape[2], g.dtype).masked_fill_(g <= smallest_log(dtype), 0))
    if beta is not None and dbeta is not None:
        found.append(grid.join(dbeta, beta.shape[2], beta.dtype))
    if state is not None and dstate is not None:
        found.append(grid.states_out(dstate).to(state.dtype))
    return found


def _shapes(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    scale: float,
    want_state: bool,
    normalise: bool,
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
    steps = -(-time // size)
    n = steps * batch * heads
    stateful = state is not None or want_state or steps > 1
    square, row, column, wide = (n, size, size), (n, size, width), (n, size, 1), (n, size, values)
    kept: list[tuple[int, ...]] = [row, row, wide, square, *([column, column] if normalise else [])]
    kept += [column] if beta is not None else []
    kept += [(n, size), square] if g is not None else []
    kept += [square, wide] if beta is not None else []
    kept += [row] if beta is not None and stateful else []
    kept += [(n, width, values)] if stateful else []
    return found + [like(*shape) for shape in kept]


_chunk_delta = Operator(
    "chunked_scalar_decay",
    "Tensor q, Tensor k, Tensor v, Tensor? g, Tensor? beta, Tensor? state, Tensor? cu_seqlens, float scale, "
    "bool want_state, bool normalise, bool keep",
    forward=_forward,
    backward=_backward,
    shapes=_shapes,
    visible=2,
)


def _stateful(grid: Grid, state: Tensor | None, want_state: bool) -> bool:
    return len(grid.active) > 1 or state is not None or want_state


def _in_segments(inputs: Inputs, scale: float, want_state: bool, normalise: bool) -> tuple[Tensor, Tensor]:
    """-> o [B, T, HV, V] and, if wanted, the last state; each segment hands its state to the next."""
    *over_time, state = inputs
    q, v = inputs[0], inputs[2]
    batch, time, heads, values = v.shape
    chunk, dtype = chunk_size(time, q.shape[3]), accumulation_dtype(q)
    step = chunk * max(1, SEGMENT_ELEMENTS // (chunk * batch * heads * values))
    carried = None if state is None else state.to(dtype).flatten(0, 1)
    o = torch.empty_like(v, memory_format=torch.contiguous_format)
    for start in range(0, time, step):
        stop = min(time, start + step)
        grid = Grid.equal(batch, stop - start, heads, chunk)
        qs, ks, vs, gs, bs = (None if x is None else x[:, start:stop] for x in over_time)
        assert qs is not None and ks is not None and vs is not None
        stateful = _stateful(grid, carried, want_state or stop < time)
        rows, saved = forward(grid, qs, ks, vs, gs, bs, carried, scale, stateful, normalise)
        carried = saved.last
        o[:, start:stop] = grid.join(rows, heads, q.dtype)
    if not want_state or carried is None:
        return o, q.new_empty(0)
    return o, carried.view(batch, heads, *carried.shape[1:])
