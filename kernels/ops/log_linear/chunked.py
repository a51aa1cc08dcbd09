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

CHUNK = 32  # tokens
FIRST = CHUNK.bit_length()  # level of a bucket of one chunk

# (q, k, v, g, beta, state) of sequences of one chunk -> outputs and last states
Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor], tuple[Tensor, Tensor]]


def log_linear(
    run: Kernel, q: Tensor, k: Tensor, v: Tensor, scales: Tensor, g: Tensor | None, beta: Tensor | None
) -> Tensor:
    """q, k [B, T, H, K], v [B, T, HV, V], scales [B, T, HV, levels], g and beta as `run` takes them -> o like v."""
    time, batch, dtype = v.shape[1], v.shape[0], accumulation_dtype(q)
    gates = (None if x is None else _in_chunks(x) for x in (g, beta))
    reads, pairs, carries, writes = _maps(run, _in_chunks(q), _in_chunks(k), *gates, v.shape[2], dtype)
    # [chunk, batch, head, ...], so that a step of the loop takes a slice
    values, weights = (_by_chunk(_in_chunks(x).to(dtype), batch) for x in (v, scales))
    reads, pairs, carries, writes = (_by_chunk(x, batch) for x in (reads, pairs, carries, writes))
    here = (pairs * _weights_within(weights)) @ values
    o = torch.stack(_with_the_past(here, reads, carries, writes @ values, weights))
    return o.permute(1, 0, 3, 2, 4).flatten(1, 2)[:, :time].to(v.dtype)


def _in_chunks(x: Tensor) -> Tensor:
    """[B, T, ...] -> [B * chunks, CHUNK, ...]; tokens of zeros at the end write nothing."""
    missing = -x.shape[1] % CHUNK
    x = F.pad(x, (*[0, 0] * (x.dim() - 2), 0, missing)) if missing else x
    return x.reshape(-1, CHUNK, *x.shape[2:])


def _by_chunk(x: Tensor, batch: int) -> Tensor:
    """[B * chunks, CHUNK, HV, ...] -> [chunks, B, HV, CHUNK, ...]"""
    return x.reshape(batch, -1, *x.shape[1:]).permute(1, 0, 3, 2, *range(4, x.dim() + 1))


def _maps(
    run: Kernel, q: Tensor, k: Tensor, g: Tensor | None, beta: Tensor | None, heads: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Q' and P [n, CHUNK, HV, K or CHUNK], E and N [n, K, HV, K or CHUNK], of the module's docstring."""
    count, width = q.shape[0], q.shape[-1]
    values = torch.eye(width + CHUNK, dtype=q.dtype, device=q.device)[width:]
    state = torch.eye(width, width + CHUNK, dtype=dtype, device=q.device)
    outputs, last = run(
        q, k, values[:, None].expand(count, CHUNK, heads, -1), g, beta, state.expand(count, heads, width, -1)
    )
    return (*_parted(outputs.to(dtype), width), *_parted(last.transpose(1, 2), width))


def _parted(x: Tensor, width: int) -> tuple[Tensor, Tensor]:
    return x[..., :width], x[..., width:]


def _weights_within(weights: Tensor) -> Tensor:
    """The weight of each pair of a chunk, [..., CHUNK, levels] -> [..., row, column]: its level is the position of the
    highest bit in which row and column differ, counted from one; zero on the diagonal."""
    place = torch.arange(CHUNK, device=weights.device)
    differ = place[:, None] ^ place
    level = torch.stack([(differ >> bit) > 0 for bit in range(FIRST - 1)]).sum(0)
    level = level.clamp(max=weights.shape[-1] - 1)  # short sequences have fewer levels than a chunk
    return weights.gather(-1, level.expand(*weights.shape[:-2], CHUNK, CHUNK))


def _with_the_past(here: Tensor, reads: Tensor, carries: Tensor, written: Tensor, weights: Tensor) -> list[Tensor]:
    """What each chunk reads, from itself and from the buckets before it."""
    buckets: dict[int, Tensor] = {}  # level -> state [B, HV, K, V]
    outputs = []
    for c, o in enumerate(here.unbind()):
        if buckets:
            rows = torch.cat([weights[c, ..., level, None] * reads[c] for level in buckets], -1)
            o = o + rows @ torch.cat(list(buckets.values()), -2)
        outputs.append(o)
        buckets = {level: carries[c] @ s for level, s in buckets.items()}
        carried, level = written[c], FIRST
        while level in buckets:
            carried, level = carried + buckets.pop(level), level + 1
        buckets[level] = carried
    return outputs
