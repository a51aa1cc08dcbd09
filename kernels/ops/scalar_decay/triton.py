"""The scalar-decay family on a GPU: which kernels run in which order, and what autograd sees of them."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from move37.kernels.common.triton_decode import decode
from move37.kernels.common.triton_launch import Plan, block, plan, precision
from move37.kernels.errors import BadDtype
from move37.kernels.ops.norms.triton import l2norm
from move37.kernels.ops.scalar_decay import triton_backward as backward_kernels
from move37.kernels.ops.scalar_decay import triton_forward as forward_kernels

L2NORM_EPS = 1e-6


def delta(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    scale: float,
    state: Tensor | None,
    bounds: list[int] | None,
    *,
    want_state: bool,
    normalise: bool,
    recurrent: bool,
) -> tuple[Tensor, Tensor | None]:
    """A checked call. `recurrent` decodes without gradients; otherwise chunks. Raises BadDtype for float64."""
    if q.dtype == torch.float64:
        raise BadDtype("q", q.dtype, "float32, bfloat16 or float16 for the Triton kernels")
    if normalise:
        q, k = l2norm(q, L2NORM_EPS, q.dtype), l2norm(k, L2NORM_EPS, k.dtype)
    if recurrent and not _needs_gradient(q, k, v, g, beta, state):
        return decode(q, k, v, g, beta, scale, state, want_state, bounds)
    cut = plan(v.shape[0], v.shape[1], bounds, chunk_size(v.shape[1], q.shape[3]), q.device)
    o, final = _Delta.apply(q, k, v, g, beta, state, scale, want_state, cut)
    return o, final if want_state else None


def chunk_size(time: int, width: int) -> int:
    """C: 64 fills the tensor cores; wider heads leave room for 32; short sequences need no more than they have."""
    largest = 32 if width > 128 else 64
    return min(largest, block(time))


def _needs_gradient(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


class _Delta(torch.autograd.Function):
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
        cut: Plan,
    ) -> tuple[Tensor, Tensor]:
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        g, beta, state = (None if x is None else x.contiguous() for x in (g, beta, state))
        sizes = _sizes(q, v, cut)
        made = _recompute(q, k, v, g, beta, state, want_state, cut)
        o = torch.empty_like(v)
        forward_kernels.outputs[lambda meta: (cut.chunks, v.shape[2], triton.cdiv(v.shape[3], meta["BV"]))](
            q, k, made["r"], made["s"], g, o, cut.row, cut.size, scale, **sizes, DECAY=g is not None
        )
        ctx.save_for_backward(q, k, v, g, beta, state)
        ctx.scale, ctx.cut = scale, cut
        ctx.set_materialize_grads(False)
        final = made["final"]
        return o, q.new_empty(0) if final is None else final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor | None, dfinal: Tensor | None) -> tuple[Tensor | None, ...]:
        q, k, v, g, beta, state = ctx.saved_tensors
        do = torch.zeros_like(v) if do is None else do.contiguous()
        dfinal = None if dfinal is None else dfinal.contiguous()
        made = _recompute(q, k, v, g, beta, state, False, ctx.cut)
        dq, dk, dv, dg, dbeta, dstate = _gradients(q, k, v, g, beta, state, do, dfinal, made, ctx.scale, ctx.cut)
        group = (q.shape[2], v.shape[2] // q.shape[2])
        dq, dk = (x.unflatten(2, group).sum(3).to(q.dtype) for x in (dq, dk))
        return dq, dk, dv.to(v.dtype), dg, dbeta, dstate, None, None, None


def _sizes(q: Tensor, v: Tensor, cut: Plan) -> dict[str, Any]:
    """The compile-time numbers that all kernels of the family take."""
    return {
        "H": q.shape[2],
        "HV": v.shape[2],
        "K": q.shape[3],
        "V": v.shape[3],
        "C": cut.chunk,
        "BK": block(q.shape[3]),
        "PRECISION": precision(q.dtype),
    }


def _recompute(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, beta: Tensor | None, state: Tensor | None, want: bool, cut: Plan
) -> dict[str, Tensor | None]:
    """gamma, X, U, -W, R, the states before all chunks, and the final one if wanted."""
    batch, time, heads, values = v.shape
    width, sizes = q.shape[3], _sizes(q, v, cut)
    gamma = torch.empty(batch, time, heads, dtype=torch.float32, device=q.device) if g is not None else None
    x, u, w, r = None, v, None, v
    if beta is not None:
        x = k.new_empty(batch, time, heads, cut.chunk)
        u, r, w = torch.empty_like(v), torch.empty_like(v), k.new_empty(batch, time, heads, width)
    flags = {"DECAY": g is not None, "ERASE": beta is not None}
    if g is not None or beta is not None:
        forward_kernels.prepare[(cut.chunks, heads)](
            k, v, g, beta, gamma, x, u, w, cut.row, cut.size, **sizes, **flags, BV=min(64, block(values))
        )
    s = k.new_empty(cut.chunks, heads, width, values)
    final = torch.empty(cut.sequences, heads, width, values, dtype=torch.float32, device=q.device) if want else None
    forward_kernels.states[lambda meta: (cut.sequences, heads, triton.cdiv(values, meta["BV"]))](
        k, gamma, u, w, r, s, state, final, cut.row, cut.size, cut.first,
        **sizes, **flags, INITIAL=state is not None, FINAL=want,
    )  # fmt: skip
    return {"gamma": gamma, "x": x, "u": u, "w": w, "r": r, "s": s, "final": final}


def _gradients(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    state: Tensor | None,
    do: Tensor,
    dfinal: Tensor | None,
    made: dict[str, Tensor | None],
    scale: float,
    cut: Plan,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """dQ and dK per value head [B, T, HV, K]; the others in the shapes of their inputs."""
    batch, time, heads, values = v.shape
    sizes = _sizes(q, v, cut)
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
    e, h, dv, dbeta_v, dbeta = None, None, dr, None, None
    if beta is not None:
        e, dv = torch.empty_like(da), torch.empty_like(v)
        h = torch.empty(batch, time, heads, q.shape[3], dtype=torch.float32, device=q.device)
        dbeta_v, dbeta = torch.empty_like(beta, dtype=torch.float32), torch.empty_like(beta)
    own = {name: size for name, size in sizes.items() if name != "H"}
    backward_kernels.scores[per_chunk](
        v, beta, made["gamma"], made["x"], made["u"], made["w"], made["r"], made["s"], do, dr, da, e, dv, dbeta_v, h,
        *table, **own, **decay, **erase, **bv,
    )  # fmt: skip
    dq = torch.empty(batch, time, heads, q.shape[3], dtype=torch.float32, device=q.device)
    dk, dg = torch.empty_like(dq), None if g is None else torch.empty_like(g)
    backward_kernels.inputs[per_chunk](
        q, k, beta, made["gamma"], made["r"], made["s"], do, ds, da, e, h, dbeta_v, dq, dk, dbeta, dg, *table, scale,
        **sizes, **decay, **erase, **bv,
    )  # fmt: skip
    return dq, dk, dv, dg, dbeta, dstate
