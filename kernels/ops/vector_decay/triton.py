"""Gated linear attention on a GPU: which kernels run in which order, and what autograd sees of them."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from move37.kernels.common.triton_decode import decode
from move37.kernels.common.triton_launch import Plan, block, plan, precision
from move37.kernels.errors import BadDtype
from move37.kernels.ops.vector_decay import triton_kernels as kernels_


def gla(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    scale: float,
    state: Tensor | None,
    want_state: bool,
    bounds: list[int] | None,
    *,
    recurrent: bool,
) -> tuple[Tensor, Tensor | None]:
    """A checked call, shapes as in kernels/gla.py. Raises BadDtype for float64."""
    if q.dtype == torch.float64:
        raise BadDtype("q", q.dtype, "float32, bfloat16 or float16 for the Triton kernels")
    inputs = (q, k, v, g, state)
    if recurrent and not (torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)):
        return decode(q, k, v, g, None, scale, state, want_state, bounds)
    chunk = min(32 if q.shape[3] > 128 else 64, block(v.shape[1]))
    o, final = _Gla.apply(q, k, v, g, state, scale, want_state, plan(v.shape[0], v.shape[1], bounds, chunk, q.device))
    return o, final if want_state else None


class _Gla(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        g: Tensor,
        state: Tensor | None,
        scale: float,
        want_state: bool,
        cut: Plan,
    ) -> tuple[Tensor, Tensor]:
        q, k, v, g = q.contiguous(), k.contiguous(), v.contiguous(), g.contiguous()
        state = None if state is None else state.contiguous()
        G, a, s, final = _recompute(q, k, v, g, state, scale, want_state, cut)
        o, sizes = torch.empty_like(v), _sizes(q, v, cut)
        kernels_.outputs[lambda meta: (cut.chunks, v.shape[2], triton.cdiv(v.shape[3], meta["BV"]))](
            q, v, G, a, s, o, cut.row, cut.size, scale, **sizes
        )
        ctx.save_for_backward(q, k, v, g, state)
        ctx.scale, ctx.cut = scale, cut
        ctx.set_materialize_grads(False)
        return o, q.new_empty(0) if final is None else final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor | None, dfinal: Tensor | None) -> tuple[Tensor | None, ...]:
        q, k, v, g, state = ctx.saved_tensors
        cut, scale = ctx.cut, ctx.scale
        do = torch.zeros_like(v) if do is None else do.contiguous()
        dfinal = None if dfinal is None else dfinal.contiguous()
        G, a, s, _ = _recompute(q, k, v, g, state, scale, False, cut)
        dq, dk, dv, dg, dstate = _gradients(q, k, v, g, state, G, a, s, do, dfinal, scale, cut)
        group = (q.shape[2], v.shape[2] // q.shape[2])
        dq, dk = (x.unflatten(2, group).sum(3).to(q.dtype) for x in (dq, dk))
        return dq, dk, dv, dg, dstate, None, None, None


def _sizes(q: Tensor, v: Tensor, cut: Plan) -> dict[str, Any]:
    return {
        "H": q.shape[2],
        "HV": v.shape[2],
        "K": q.shape[3],
        "V": v.shape[3],
        "C": cut.chunk,
        "BK": block(q.shape[3]),
        "PRECISION": precision(q.dtype),
    }


def _without(sizes: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: size for name, size in sizes.items() if name not in names}


def _recompute(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, state: Tensor | None, scale: float, want_state: bool, cut: Plan
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """G, A, the states before all chunks, and the final one if wanted."""
    heads, sizes, table = v.shape[2], _sizes(q, v, cut), (cut.row, cut.size)
    G = torch.empty_like(g, dtype=torch.float32)
    narrow = _without(sizes, "V")
    kernels_.cumulate[(cut.chunks, heads)](g, G, *table, **_without(narrow, "H", "PRECISION"))
    a = torch.empty(*v.shape[:3], cut.chunk, dtype=torch.float32, device=q.device)
    kernels_.scores[(cut.chunks, heads, (cut.chunk // 16) ** 2)](q, k, G, a, *table, scale, **narrow)
    s = k.new_empty(cut.chunks, heads, q.shape[3], v.shape[3])
    shape = (cut.sequences, heads, q.shape[3], v.shape[3])
    final = torch.empty(shape, dtype=torch.float32, device=q.device) if want_state else None
    kernels_.states[lambda meta: (cut.sequences, heads, triton.cdiv(v.shape[3], meta["BV"]))](
        k, v, G, s, state, final, *table, cut.first, **sizes, INITIAL=state is not None, FINAL=want_state
    )
    return G, a, s, final


def _gradients(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    state: Tensor | None,
    G: Tensor,
    a: Tensor,
    s: Tensor,
    do: Tensor,
    dfinal: Tensor | None,
    scale: float,
    cut: Plan,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    """dQ and dK per value head [B, T, HV, K]; the others in the shapes of their inputs."""
    heads, sizes, table = v.shape[2], _sizes(q, v, cut), (cut.row, cut.size)
    ds, dstate = torch.empty_like(s), None if state is None else torch.empty_like(state)
    kernels_.scan[lambda meta: (cut.sequences, heads, triton.cdiv(v.shape[3], meta["BV"]))](
        q, G, do, ds, dfinal, dstate, *table, cut.first, scale,
        **sizes, INITIAL=state is not None, FINAL=dfinal is not None,
    )  # fmt: skip
    across_q, across_k, dq, dk, dG = (torch.empty_like(G) for _ in range(5))
    dv, dg, da = torch.empty_like(v), torch.empty_like(g), torch.empty_like(a)
    dlast = torch.empty(cut.chunks, heads, q.shape[3], dtype=torch.float32, device=q.device)
    kernels_.across[(cut.chunks, heads)](
        k, v, G, a, s, ds, do, da, across_q, across_k, dv, dlast, *table, **sizes, BV=min(64, block(v.shape[3]))
    )
    narrow = _without(sizes, "V")
    kernels_.within[(cut.chunks, heads, cut.chunk // 16)](
        q, k, G, da, across_q, across_k, dq, dk, dG, *table, scale, **narrow
    )
    kernels_.gates[(cut.chunks, heads)](k, across_k, dG, dlast, dg, *table, **_without(narrow, "PRECISION"))
    return dq, dk, dv, dg, dstate
