"""A decay for every key coordinate on a GPU: which kernels run in which order, and what autograd sees of them.

Kept for the backward pass: X, where there is an erase term; everything else is computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from move37.kernels.ops.vector_decay import triton_backward as backward_kernels
from move37.kernels.ops.vector_decay import triton_forward as forward_kernels

Made = dict[str, Any]


def vector(
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
    recurrent: bool,
) -> tuple[Tensor, Tensor | None]:
    """A checked call, shapes as in api.py. Raises BadDtype for float64."""
    refuse_float64(q)
    keep = needs_gradient(q, k, v, g, beta, state)
    if recurrent and not keep:
        return decode(q, k, v, g, beta, scale, state, want_state, cu_seqlens)
    o, final = _vector(q, k, v, g, beta, state, cu_seqlens, scale, want_state, keep)
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
    """-> o, the final state or nothing, and with `keep` X, where there is one."""
    q, k, v, g, beta, state = contiguous(q, k, v, g, beta, state)
    cut = plan(q, v, cu_seqlens)
    made = _states(q, k, v, g, beta, state, scale, want_state, cut, None)
    o = torch.empty_like(v)
    forward_kernels.outputs[lambda meta: (cut.chunks, v.shape[2], triton.cdiv(v.shape[3], meta["BV"]))](
        q, made["r"], made["G"], made["a"], made["s"], o, cut.row, cut.size, scale, **kernel_sizes(q, v, cut)
    )
    final = q.new_empty(0) if made["final"] is None else made["final"]
    return o, final, *((made["x"],) if keep and beta is not None else ())


def _backward(arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    *tensors, cu_seqlens, scale, want_state, _ = arguments
    q, k, v, g, beta, state = contiguous(*tensors)
    cut = plan(q, v, cu_seqlens)
    do = torch.zeros_like(v) if gradients[0] is None else gradients[0].contiguous()
    dfinal = gradients[1].contiguous() if gradients[1] is not None and want_state else None
    made = _states(q, k, v, g, beta, state, scale, False, cut, kept[0] if kept else None)
    found = _gradients(q, k, v, g, beta, state, made, do, dfinal, scale, cut)
    return [x for x in found if x is not None]


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
    ends = batch if cu_seqlens is None else cu_seqlens.shape[0] - 1
    final = q.new_empty((ends, heads, q.shape[3], values), dtype=torch.float32) if want_state else q.new_empty(0)
    found = [v.new_empty(v.shape), final]
    if keep and beta is not None:
        found.append(q.new_empty((batch, time, heads, chunk_size(time, q.shape[3]))))
    return found


_vector = Operator(
    "triton_vector_decay",
    "Tensor q, Tensor k, Tensor v, Tensor g, Tensor? beta, Tensor? state, Tensor? cu_seqlens, float scale, "
    "bool want_state, bool keep",
    forward=_forward,
    backward=_backward,
    shapes=_shapes,
    visible=2,
)


def _without(sizes: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: size for name, size in sizes.items() if name not in names}


def _states(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor | None,
    state: Tensor | None,
    scale: float,
    want_state: bool,
    cut: LaunchPlan,
    x: Tensor | None,
) -> Made:
    """G, A, X (unless it is known), -W, R, the states before all chunks, and the final one if wanted."""
    heads, values, sizes, table = v.shape[2], v.shape[3], kernel_sizes(q, v, cut), (cut.row, cut.size)
    G, erase = torch.empty_like(g, dtype=torch.float32), beta is not None
    narrow = _without(sizes, "V")
    forward_kernels.cumulate[(cut.chunks, heads)](g, G, *table, **_without(narrow, "H", "PRECISION"))
    a = torch.empty(*v.shape[:3], cut.chunk, dtype=torch.float32, device=q.device)
    p = torch.empty_like(a) if erase and x is None else None
    blocks = cut.chunk // 16
    forward_kernels.scores[(cut.chunks, heads, blocks * (blocks + 1) // 2)](
        q, k, G, a, p, *table, scale, **narrow, ERASE=p is not None
    )
    u, w, r, solved = v, None, v, x is not None
    if erase:
        x = k.new_empty(*v.shape[:3], cut.chunk) if x is None else x
        u, r, w = torch.empty_like(v), torch.empty_like(v), k.new_empty(*v.shape[:3], q.shape[3])
        forward_kernels.solve[(cut.chunks, heads)](
            k, v, G, beta, p, x, u, w, *table, **sizes, BV=min(64, block(values)), SOLVED=solved
        )
    s = k.new_empty(cut.chunks, heads, q.shape[3], values)
    shape = (cut.sequences, heads, q.shape[3], values)
    final = torch.empty(shape, dtype=torch.float32, device=q.device) if want_state else None
    forward_kernels.states[lambda meta: (cut.sequences, heads, triton.cdiv(values, meta["BV"]))](
        k, u, w, G, r, s, state, final, *table, cut.first,
        **sizes, ERASE=erase, INITIAL=state is not None, FINAL=want_state,
    )  # fmt: skip
    return {"G": G, "a": a, "x": x, "w": w, "r": r, "s": s, "final": final}


def _gradients(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor | None,
    state: Tensor | None,
    made: Made,
    do: Tensor,
    dfinal: Tensor | None,
    scale: float,
    cut: LaunchPlan,
) -> tuple[Tensor | None, ...]:
    """The gradients in the shapes of their inputs."""
    heads, values, sizes, table = v.shape[2], v.shape[3], kernel_sizes(q, v, cut), (cut.row, cut.size)
    flag, bv, per_chunk = {"ERASE": beta is not None}, {"BV": min(64, block(values))}, (cut.chunks, heads)
    G, r, s = made["G"], made["r"], made["s"]
    own = _without(sizes, "H", "K", "BK")
    local_dr, dr = torch.empty_like(v), torch.empty_like(v)
    backward_kernels.local[per_chunk](made["a"], do, local_dr, *table, **own, **bv)
    ds, dstate = torch.empty_like(s), None if state is None else torch.empty_like(state)
    backward_kernels.scan[lambda meta: (cut.sequences, heads, triton.cdiv(values, meta["BV"]))](
        q, k, G, made["w"], do, local_dr, dr, ds, dfinal, dstate, *table, cut.first, scale,
        **sizes, **flag, INITIAL=state is not None, FINAL=dfinal is not None,
    )  # fmt: skip
    da, dm, dbv, dv, dbeta_v, dbeta, h = torch.empty_like(made["a"]), None, None, dr, None, None, None
    if beta is not None:
        dm, dbv, dv, h = torch.empty_like(da), torch.empty_like(v), torch.empty_like(v), torch.empty_like(G)
        dbeta_v, dbeta = torch.empty_like(beta, dtype=torch.float32), torch.empty_like(beta)
    backward_kernels.triangles[per_chunk](
        v, beta, made["x"], r, do, dr, da, dm, dbv, dv, dbeta_v, *table, **own, **flag, **bv
    )
    across_q, across_k, dG, dg = (*(torch.empty_like(G) for _ in range(3)), torch.empty_like(g))
    dlast = torch.empty(cut.chunks, heads, q.shape[3], dtype=torch.float32, device=q.device)
    part = min(64, sizes["BK"])
    by_part = (cut.chunks, heads, triton.cdiv(q.shape[3], part))
    backward_kernels.across[by_part](
        G, r, s, ds, do, dbv, across_q, across_k, h, dlast, *table, **{**sizes, "BK": part}, **flag, **bv
    )
    narrow = _without(sizes, "V")
    dq, dk = key_gradient(q, heads), key_gradient(q, heads)
    backward_kernels.within[(cut.chunks, heads, cut.chunk // 16)](
        q, k, G, beta, da, dm, across_q, across_k, h, dbeta_v, dq, dk, dbeta, dG, *table, scale, **narrow, **flag
    )
    backward_kernels.gates[by_part](
        k, g, across_k, dG, dlast, dg, *table, **_without({**narrow, "BK": part}, "PRECISION")
    )
    return summed(dq, q), summed(dk, k), dv, dg, dbeta, dstate
