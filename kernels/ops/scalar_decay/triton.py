"""The scalar-decay family on a GPU: which kernels run in which order, and what autograd sees of them.

Kept for the backward pass: gamma and X, small beside what they cost; U, W, R and the states are computed again.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
from torch import Tensor

from move37.kernels.common.operator import Arguments, Operator, needs_gradient
from move37.kernels.common.triton_decode import decode
from move37.kernels.common.triton_launch import (
    LaunchPlan,
    block,
    chunk_size,
    contiguous,
    kernel_sizes,
    key_gradient,
    plan,
    refuse_float64,
    summed,
)
from move37.kernels.ops.norms.triton import l2norm
from move37.kernels.ops.scalar_decay import triton_backward as backward_kernels
from move37.kernels.ops.scalar_decay import triton_forward as forward_kernels

L2NORM_EPS = 1e-6

Made = dict[str, Tensor | None]


def delta(
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
    recurrent: bool,
) -> tuple[Tensor, Tensor | None]:
    """A checked call. `recurrent` decodes without gradients; otherwise chunks. Raises BadDtype for float64."""
    refuse_float64(q)
    if normalise:
        q, k = l2norm(q, L2NORM_EPS, q.dtype), l2norm(k, L2NORM_EPS, k.dtype)
    keep = needs_gradient(q, k, v, g, beta, state)
    if recurrent and not keep:
        return decode(q, k, v, g, beta, scale, state, want_state, cu_seqlens)
    o, final = _delta(q, k, v, g, beta, state, cu_seqlens, scale, want_state, keep)
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
    keep: bool,
) -> tuple[Tensor, ...]:
    """-> o, the final state or nothing, and with `keep` gamma and X, where there are such."""
    q, k, v, g, beta, state = contiguous(q, k, v, g, beta, state)
    cut = plan(q, v, cu_seqlens)
    made = _states(q, k, v, g, beta, state, want_state, cut, {})
    o = torch.empty_like(v)
    forward_kernels.outputs[lambda meta: (cut.chunks, v.shape[2], triton.cdiv(v.shape[3], meta["BV"]))](
        q, k, made["r"], made["s"], g, o, cut.row, cut.size, scale, **kernel_sizes(q, v, cut), DECAY=g is not None
    )
    final = made["final"]
    kept = [made[name] for name in ("gamma", "x")] if keep else []
    return o, q.new_empty(0) if final is None else final, *(x for x in kept if x is not None)


def _backward(arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    *tensors, cu_seqlens, scale, want_state, _ = arguments
    q, k, v, g, beta, state = contiguous(*tensors)
    cut = plan(q, v, cu_seqlens)
    do = torch.zeros_like(v) if gradients[0] is None else gradients[0].contiguous()
    dfinal = gradients[1].contiguous() if gradients[1] is not None and want_state else None
    left = iter(kept)
    known = {"gamma": next(left) if g is not None else None, "x": next(left) if beta is not None else None}
    made = _states(q, k, v, g, beta, state, False, cut, known)
    found = _gradients(q, k, v, g, beta, state, do, dfinal, made, scale, cut)
    return [x for x in found if x is not None]


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
    keep: bool,
) -> list[Tensor]:
    batch, time, heads, values = v.shape
    ends = batch if cu_seqlens is None else cu_seqlens.shape[0] - 1
    final = q.new_empty((ends, heads, q.shape[3], values), dtype=torch.float32) if want_state else q.new_empty(0)
    found = [v.new_empty(v.shape), final]
    if keep and g is not None:
        found.append(q.new_empty((batch, time, heads), dtype=torch.float32))
    if keep and beta is not None:
        found.append(q.new_empty((batch, time, heads, chunk_size(time, q.shape[3]))))
    return found


_delta = Operator(
    "triton_scalar_decay",
    "Tensor q, Tensor k, Tensor v, Tensor? g, Tensor? beta, Tensor? state, Tensor? cu_seqlens, float scale, "
    "bool want_state, bool keep",
    forward=_forward,
    backward=_backward,
    shapes=_shapes,
    visible=2,
)


def _states(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    state: Tensor | None,
    want: bool,
    cut: LaunchPlan,
    known: Made,
) -> Made:
    """gamma and X, unless they are `known`; -W, R, the states before all chunks, and the final one if wanted."""
    batch, time, heads, values = v.shape
    width, sizes = q.shape[3], kernel_sizes(q, v, cut)
    gamma, x, u, w, r = known.get("gamma"), known.get("x"), v, None, v
    if g is not None and not known:
        gamma = torch.empty(batch, time, heads, dtype=torch.float32, device=q.device)
    if beta is not None:
        x = k.new_empty(batch, time, heads, cut.chunk) if x is None else x
        u, r, w = torch.empty_like(v), torch.empty_like(v), k.new_empty(batch, time, heads, width)
    flags = {"DECAY": g is not None, "ERASE": beta is not None}
    if beta is not None or (g is not None and not known):
        forward_kernels.prepare[(cut.chunks, heads)](
            k, v, g, beta, gamma, x, u, w, cut.row, cut.size, **sizes, **flags, BV=min(64, block(values)),
            SOLVED=bool(known),
        )  # fmt: skip
    s = k.new_empty(cut.chunks, heads, width, values)
    final = torch.empty(cut.sequences, heads, width, values, dtype=torch.float32, device=q.device) if want else None
    forward_kernels.states[lambda meta: (cut.sequences, heads, triton.cdiv(values, meta["BV"]))](
        k, gamma, u, w, r, s, state, final, cut.row, cut.size, cut.first,
        **sizes, **flags, INITIAL=state is not None, FINAL=want,
    )  # fmt: skip
    return {"gamma": gamma, "x": x, "w": w, "r": r, "s": s, "final": final}


def _gradients(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    state: Tensor | None,
    do: Tensor,
    dfinal: Tensor | None,
    made: Made,
    scale: float,
    cut: LaunchPlan,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The gradients in the shapes of their inputs."""
    batch, time, heads, values = v.shape
    sizes = kernel_sizes(q, v, cut)
    decay, erase = {"DECAY": g is not None}, {"ERASE": beta is not None}
    per_chunk, table, bv = (cut.chunks, heads), (cut.row, cut.size), {"BV": min(64, block(values))}
    local_dr, dr = torch.empty_like(v), torch.empty_like(v)
    backward_kernels.local[per_chunk](q, k, made["gamma"], do, local_dr, *table, scale, **sizes, **decay, **bv)
    ds = k.new_empty(cut.chunks, heads, q.shape[3], values)
    dstate = None if state is None else torch.empty_like(state)
    backward_kernels.scan[lambda meta: (cut.sequences, heads, triton.cdiv(values, meta["BV"]))](
        q, k, made["gamma"], made["w"], do, local_dr, dr, ds, dfinal, dstate, *table, cut.first, scale,
        **sizes, **decay, **erase, INITIAL=state is not None, FINAL=dfinal is not None,
    )  # fmt: skip
    da = k.new_empty(batch, time, heads, cut.chunk)
    e, dbv, dv, dbeta_v, dbeta = None, None, dr, None, None
    if beta is not None:
        e, dbv, dv = torch.empty_like(da), torch.empty_like(v), torch.empty_like(v)
        dbeta_v, dbeta = torch.empty_like(beta, dtype=torch.float32), torch.empty_like(beta)
    own = {name: size for name, size in sizes.items() if name not in ("H", "K", "BK")}
    backward_kernels.scores[per_chunk](
        v, beta, made["gamma"], made["x"], made["r"], do, dr, da, e, dbv, dv, dbeta_v, *table,
        **own, **decay, **erase, **bv,
    )  # fmt: skip
    dq, dk = key_gradient(q, heads), key_gradient(q, heads)
    dg = None if g is None else torch.empty_like(g)
    whole = {name: size for name, size in sizes.items() if name != "BK"}
    backward_kernels.inputs[per_chunk](
        q, k, g, beta, made["gamma"], made["r"], made["s"], do, ds, da, e, dbv, dbeta_v, dq, dk, dbeta, dg, *table,
        scale, **whole, **decay, **erase, **bv,
    )  # fmt: skip
    return summed(dq, q), summed(dk, k), dv, dg, dbeta, dstate
