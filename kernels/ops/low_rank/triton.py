"""The chunked form of a diagonal plus rank one on a GPU: its only sequential part, the states, in one Triton kernel.

What a chunk needs by itself is batched products, which chunked.py leaves to PyTorch on every device. Its loop over
chunks is some launches a chunk; here one program a sequence, head and block of V walks over the chunks with the state
in registers, forwards, or backwards for the gradients of the states. Products are of three tf32 ones, near float32.
"""

from __future__ import annotations

from itertools import accumulate

import torch
import triton
import triton.language as tl
from torch import Tensor

from move37.kernels.common.operator import needs_gradient
from move37.kernels.common.triton_decode import decode
from move37.kernels.common.triton_launch import block, load_tile, load_tile_t, refuse_float64, state_at, store_tile
from move37.kernels.ops.low_rank import chunked


def low_rank(
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
    recurrent: bool,
) -> tuple[Tensor, Tensor | None]:
    """A checked call, shapes as in api.py. Raises BadDtype for float64, BadSequences for a wrong `cu_seqlens`."""
    refuse_float64(q)
    if recurrent and not needs_gradient(q, k, v, a, b, g, state):
        return decode(q, k, v, g, None, scale, state, want_state, cu_seqlens, a, b)
    o, final = _low_rank(q, k, v, a, b, g, state, cu_seqlens, scale, want_state)
    return o, final if want_state else None


@triton.jit
def scan(
    rows, reads, writes, step, add, edge, inner, out, starts, slices,
    K: tl.constexpr, V: tl.constexpr, C: tl.constexpr, BK: tl.constexpr, BC: tl.constexpr, BV: tl.constexpr,
    EDGE: tl.constexpr, BACK: tl.constexpr,
):  # fmt: skip
    row, v0 = tl.program_id(0), tl.program_id(1) * BV
    d = tl.arange(0, BK)
    at, inside = state_at(0, 1, 0, v0, K, V, BK, BV)
    state = tl.zeros((BK, BV), tl.float32)
    if EDGE:
        state += tl.load(edge + row * K * V + at, mask=inside, other=0.0)
    for n in range(slices):
        i = slices - 1 - n if BACK else n
        start = tl.load(starts + i)
        if start + row < tl.load(starts + i + 1):  # else this sequence has ended
            chunk = start + row
            tl.store(inner + chunk * K * V + at, state, mask=inside)
            read = load_tile(reads, chunk * C, C, 1, 0, 0, K, BC, BK)
            values = load_tile(rows, chunk * C, C, 1, 0, v0, V, BC, BV)
            values += tl.dot(read, state, input_precision="tf32x3")
            store_tile(rows, values, chunk * C, C, 1, 0, v0, V, BC, BV)
            write_t = load_tile_t(writes, chunk * C, C, 1, 0, 0, K, BC, BK)
            state = state * tl.load(step + chunk * K + d, mask=d < K, other=0.0)[:, None]
            state += tl.dot(write_t, values, input_precision="tf32x3")
            state += tl.load(add + chunk * K * V + at, mask=inside, other=0.0)
    tl.store(out + row * K * V + at, state, mask=inside)


def delta_state_scan(
    rows: Tensor,
    reads: Tensor,
    writes: Tensor,
    step: Tensor,
    add: Tensor,
    edge: Tensor | None,
    sizes: list[int],
    ends: int,
    *,
    back: bool = False,
) -> tuple[Tensor, Tensor]:
    """`common.state_scan.delta_state_scan` in one kernel: the same arguments, results and changes in place."""
    (width, values), size = (reads.shape[2], rows.shape[2]), rows.shape[1]
    inner, out = rows.new_empty(rows.shape[0], width, values), rows.new_empty(ends, width, values)
    starts = torch.tensor([0, *accumulate(sizes)], device=rows.device)
    kept = (x.contiguous() for x in (reads, writes, step, add))
    scan[(ends, triton.cdiv(values, 16))](
        rows, *kept, edge, inner, out, starts, len(sizes),
        K=width, V=values, C=size, BK=block(width), BC=block(size), BV=16, EDGE=edge is not None, BACK=back,
        num_warps=4 if width <= 128 else 8,
    )  # fmt: skip
    return inner, out


_low_rank = chunked.operator("triton_low_rank", delta_state_scan)
