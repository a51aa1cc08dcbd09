"""The scalar-decay family in chunks: linear attention, RetNet, Mamba-2, DeltaNet, Gated DeltaNet.

The function and its place in autograd; chunked_forward.py has the forward pass and the symbols, chunked_backward.py the
gradients. Without gradients a long sequence goes through in segments: they stay in the cache, and their memory is used
again instead of going back to the system. With gradients, what the forward pass computed is kept while it is small, and
otherwise computed again. Not covered: second derivatives; vector decay.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from move37.kernels.common.layout import Grid
from move37.kernels.ops.scalar_decay.chunked_backward import backward
from move37.kernels.ops.scalar_decay.chunked_forward import Saved, forward

KEEP_ELEMENTS = 1 << 23  # of v: above it the forward pass is computed again
SEGMENT_ELEMENTS = 1 << 17  # of v: what goes through at once where nothing is kept


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
    *,
    want_state: bool,
    normalise: bool,
) -> tuple[Tensor, Tensor | None]:
    """The family of this module on sequences of equal length; no erase term where `beta` is None.

    q, k [B, T, H, K], v [B, T, HV, V], g, beta [B, T, HV], state [B, HV, K, V] -> o [B, T, HV, V], state or None.
    """
    o, final = _ChunkDelta.apply(q, k, v, g, beta, state, scale, want_state, normalise)  # type: ignore[no-untyped-call]
    return o, final if want_state else None


class _ChunkDelta(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        g: Tensor | None,
        beta: Tensor | None,
        state: Tensor | None,
        scale: float,
        want_state: bool,
        normalise: bool,
    ) -> tuple[Tensor, Tensor]:
        inputs, options = (q, k, v, g, beta, state), (scale, want_state, normalise)
        batch, time, heads, _ = v.shape
        chunk = chunk_size(time, q.shape[3])
        if not any(ctx.needs_input_grad):
            o, last = _in_segments(inputs, options, chunk)
            return o, v.new_empty(0) if last is None else last.view(batch, heads, *last.shape[1:])
        grid = Grid(batch=batch, time=time, heads=heads, chunk=chunk)
        ctx.save_for_backward(*inputs)
        ctx.grid, ctx.options = grid, options
        rows, kept = forward(grid, *inputs, *options)
        ctx.kept = kept if v.numel() <= KEEP_ELEMENTS else None
        ctx.set_materialize_grads(False)
        last = kept.states[-1].view(batch, heads, *kept.states.shape[-2:]) if kept.states is not None else None
        return grid.join(rows, heads, q.dtype), v.new_empty(0) if last is None or not want_state else last.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor | None, dfinal: Tensor | None) -> tuple[Tensor | None, ...]:
        q, k, v, g, beta, state = ctx.saved_tensors
        grid: Grid = ctx.grid
        kept: Saved | None = ctx.kept
        ctx.kept = None  # freed with this pass; a second one over a retained graph computes it again
        if kept is None:
            _, kept = forward(grid, q, k, v, g, beta, state, *ctx.options)
        do = torch.zeros_like(kept.v) if do is None else grid.split(do, kept.v.dtype)
        if dfinal is not None:
            dfinal = dfinal.to(do.dtype).reshape(grid.batch_heads, *dfinal.shape[2:])
        dq, dk, dv, dg, dbeta, dstate = backward(kept, grid, do, dfinal, ctx.options[0])
        return (
            grid.join(dq, q.shape[2], q.dtype),
            grid.join(dk, k.shape[2], k.dtype),
            grid.join(dv, v.shape[2], v.dtype),
            None if g is None or dg is None else grid.join(dg, g.shape[2], g.dtype),
            None if beta is None or dbeta is None else grid.join(dbeta, beta.shape[2], beta.dtype),
            None if state is None or dstate is None else dstate.view(state.shape).to(state.dtype),
            None,
            None,
            None,
        )


Inputs = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]


def _in_segments(inputs: Inputs, options: tuple[float, bool, bool], chunk: int) -> tuple[Tensor, Tensor | None]:
    """-> o [B, T, HV, V] and, if wanted, the last state [B * HV, K, V]; each segment hands its state to the next."""
    *over_time, state = inputs
    scale, want_state, normalise = options
    batch, time, heads, values = inputs[2].shape
    step = chunk * max(1, SEGMENT_ELEMENTS // (chunk * batch * heads * values))
    parts = []
    for start in range(0, time, step):
        stop = min(time, start + step)
        grid = Grid(batch=batch, time=stop - start, heads=heads, chunk=chunk)
        q, k, v, g, beta = (None if x is None else x[:, start:stop] for x in over_time)
        assert q is not None and k is not None and v is not None
        rows, made = forward(grid, q, k, v, g, beta, state, scale, want_state or stop < time, normalise)
        state = None if made.states is None else made.states[-1]
        parts.append(grid.join(rows, heads, q.dtype))
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1), state if want_state else None
