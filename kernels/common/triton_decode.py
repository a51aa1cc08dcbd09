"""Decoding: one program a sequence, head and block of V walks over its tokens with the state in registers.

DECAY 0 none, 1 a number a token [rows, HV], 2 a vector a token [rows, HV, K]; ERASE as in delta_forward; LOW_RANK adds
b_t^T a_t of the state before the decay.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from move37.kernels.common.triton_launch import block, state_at


@triton.jit
def step(
    q, k, v, g, beta, a, b, o, initial, final, bounds, scale,
    H: tl.constexpr, HV: tl.constexpr, K: tl.constexpr, V: tl.constexpr, BK: tl.constexpr, BV: tl.constexpr,
    DECAY: tl.constexpr, ERASE: tl.constexpr, LOW_RANK: tl.constexpr, INITIAL: tl.constexpr, FINAL: tl.constexpr,
):  # fmt: skip
    sequence, head, v0 = tl.program_id(0), tl.program_id(1), tl.program_id(2) * BV
    i, j = tl.arange(0, BK), v0 + tl.arange(0, BV)
    at, inside = state_at(sequence, HV, head, v0, K, V, BK, BV)
    state = tl.zeros((BK, BV), tl.float32)
    if INITIAL:
        state += tl.load(initial + at, mask=inside, other=0.0).to(tl.float32)
    for row in range(tl.load(bounds + sequence).to(tl.int64), tl.load(bounds + sequence + 1).to(tl.int64)):
        shared = (row * H + head // (HV // H)) * K + i
        query = tl.load(q + shared, mask=i < K, other=0.0).to(tl.float32) * scale
        key = tl.load(k + shared, mask=i < K, other=0.0).to(tl.float32)
        own = (row * HV + head) * V + j
        value = tl.load(v + own, mask=j < V, other=0.0).to(tl.float32)
        if LOW_RANK:
            reader = tl.load(a + shared, mask=i < K, other=0.0).to(tl.float32)
            again = tl.sum(reader[:, None] * state, 0)
        if DECAY == 1:
            state *= tl.exp(tl.load(g + row * HV + head).to(tl.float32))
        if DECAY == 2:
            fade = tl.load(g + (row * HV + head) * K + i, mask=i < K, other=0.0).to(tl.float32)
            state *= tl.exp(fade)[:, None]
        if ERASE:
            rate = tl.load(beta + row * HV + head).to(tl.float32)
            value = rate * (value - tl.sum(key[:, None] * state, 0))
        state += key[:, None] * value[None, :]
        if LOW_RANK:
            state += tl.load(b + shared, mask=i < K, other=0.0).to(tl.float32)[:, None] * again[None, :]
        tl.store(o + own, tl.sum(query[:, None] * state, 0).to(o.dtype.element_ty), mask=j < V)
    if FINAL:
        tl.store(final + at, state, mask=inside)


def decode(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    scale: float,
    state: Tensor | None,
    want_state: bool,
    cu_seqlens: Tensor | None,
    a: Tensor | None = None,
    b: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Shapes as in contract.py; no gradients. -> o, final state or None."""
    batch, time, heads, values = v.shape
    # Made on the device: a copy from the host is a wait in every layer, and cannot be recorded in a CUDA graph.
    cuts = torch.arange(batch + 1, device=q.device) * time if cu_seqlens is None else cu_seqlens.contiguous()
    sequences = cuts.shape[0] - 1
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    g, beta, state, a, b = (None if x is None else x.contiguous() for x in (g, beta, state, a, b))
    width, o = q.shape[3], torch.empty_like(v)
    final = torch.empty(sequences, heads, width, values, dtype=torch.float32, device=q.device) if want_state else None
    rows = 8 if sequences * heads < 256 else 16  # few recurrences: more programs, so that all of the card has work
    step[(sequences, heads, triton.cdiv(values, rows))](
        q, k, v, g, beta, a, b, o, state, final, cuts, scale,
        H=q.shape[2], HV=heads, K=width, V=values, BK=block(width), BV=rows,
        DECAY=0 if g is None else g.dim() - 2, ERASE=beta is not None, LOW_RANK=a is not None,
        INITIAL=state is not None, FINAL=want_state, num_warps=1,
    )  # fmt: skip
    return o, final
