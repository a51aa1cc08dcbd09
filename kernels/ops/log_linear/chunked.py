"""Log-linear attention in chunks, by whichever kernel has the recurrence.

Inside a chunk what is read is linear in the values V and in the state before it, so one call of the kernel with
identities in their places gives the whole map:

    values [0 | 1], state [1 | 0]   ->   outputs [Q' | P], last state [E | N]
    o = P V + Q' S        S' = E S + N V

P gets the levels' weights entry by entry. Each bucket of whole chunks has its own S; Q' reads it, E carries it on, and
N V is the new one. After chunk c the new bucket takes in those of the lowest ones of c, as a carry goes through a
binary number. States: log2 of the chunks; time: chunks times states, so T log T. Gradients: the kernel's own, and
PyTorch's for the rest. Not covered: packed sequences, a state to go on from.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from move37.kernels.common.operator import accumulation_dtype

# (q, k, v, g, beta, state) of sequences of one chunk -> outputs and last states
Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor], tuple[Tensor, Tensor]]


def chunk_size(width: int) -> int:
    """Tokens of a chunk, for keys of `width`: the loop over chunks pays for wide heads' states each time."""
    return 32 if width <= 32 else 64


def log_linear(
    run: Kernel, q: Tensor, k: Tensor, v: Tensor, scales: Tensor, g: Tensor | None, beta: Tensor | None
) -> Tensor:
    """q, k [B, T, H, K], v [B, T, HV, V], scales [B, T, HV, levels], g and beta as `run` takes them -> o like v."""
    (batch, time, heads, _), width, dtype = v.shape, q.shape[-1], accumulation_dtype(q)
    chunk = chunk_size(width)
    q, k, v, scales = (_in_chunks(x, chunk) for x in (q, k, v, scales))
    g, beta = (None if x is None else _in_chunks(x, chunk) for x in (g, beta))
    maps = _maps(run, q, k, g, beta, heads, dtype)
    # [chunk, batch, head, ...], so that a step of the loop takes a slice
    reads, pairs, carries, writes, values, weights = (
        x.reshape(batch, -1, *x.shape[1:]).permute(1, 0, 3, 2, 4) for x in (*maps, v.to(dtype), scales.to(dtype))
    )
    here = (pairs * _weights_within(weights)) @ values
    o = torch.stack(_with_the_past(here, reads, carries, writes @ values, weights))
    return o.permute(1, 0, 3, 2, 4).flatten(1, 2)[:, :time].to(v.dtype)


def _in_chunks(x: Tensor, chunk: int) -> Tensor:
    """[B, T, ...] -> [B * chunks, chunk, ...]; tokens of zeros at the end write nothing."""
    missing = -x.shape[1] % chunk
    x = F.pad(x, (*[0, 0] * (x.dim() - 2), 0, missing)) if missing else x
    return x.reshape(-1, chunk, *x.shape[2:])


def _maps(
    run: Kernel, q: Tensor, k: Tensor, g: Tensor | None, beta: Tensor | None, heads: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Q' and P [n, C, HV, K or C], E and N [n, K, HV, K or C], of the module's docstring."""
    count, chunk, _, width = q.shape
    values = torch.eye(width + chunk, dtype=q.dtype, device=q.device)[width:]
    state = torch.eye(width, width + chunk, dtype=dtype, device=q.device)
    outputs, last = run(
        q, k, values[:, None].expand(count, chunk, heads, -1), g, beta, state.expand(count, heads, width, -1)
    )
    (reads, pairs), (carries, writes) = (
        torch.split(x, [width, chunk], -1) for x in (outputs.to(dtype), last.transpose(1, 2))
    )
    return reads, pairs, carries, writes


def _weights_within(weights: Tensor) -> Tensor:
    """The weight of each pair of a chunk, [..., C, levels] -> [..., row, column]: its level is the position of the
    highest bit in which row and column differ, counted from one; zero on the diagonal."""
    chunk, levels = weights.shape[-2:]
    place = torch.arange(chunk, device=weights.device)
    differ = place[:, None] ^ place
    level = torch.stack([(differ >> bit) > 0 for bit in range(chunk.bit_length() - 1)]).sum(0)
    level = level.clamp(max=levels - 1)  # short sequences have fewer levels than a chunk
    return weights.gather(-1, level.expand(*weights.shape[:-1], chunk))


def _with_the_past(here: Tensor, reads: Tensor, carries: Tensor, written: Tensor, weights: Tensor) -> list[Tensor]:
    """What each chunk reads, from itself and from the buckets before it."""
    first = here.shape[-2].bit_length()  # level of a bucket of one chunk
    buckets: dict[int, Tensor] = {}  # level -> state [B, HV, K, V]
    outputs = []
    # Taken apart once: the gradient of a slice is as large as all of the tensor.
    taken = (x.unbind() for x in (here, reads, carries, written, weights))
    for o, read, carry, new, weight in zip(*taken, strict=True):
        if buckets:
            by_level = weight.unbind(-1)
            rows = torch.cat([by_level[level].unsqueeze(-1) * read for level in buckets], -1)
            o = o + rows @ torch.cat(list(buckets.values()), -2)
        outputs.append(o)
        buckets = {level: carry @ s for level, s in buckets.items()}
        level = first
        while level in buckets:
            new, level = new + buckets.pop(level), level + 1
        buckets[level] = new
    return outputs
