"""The only sequential part: states from chunk to chunk, forwards or, for their gradients, backwards."""

from __future__ import annotations

import torch
from torch import Tensor


def by_chunk(x: Tensor, lanes: int) -> Tensor:
    """[chunks * lanes, ...] -> [chunks, lanes, ...]."""
    return x.view(-1, lanes, *x.shape[1:])


def scan(step: Tensor | None, add: Tensor, edge: Tensor | None, *, matrix: bool = False, back: bool = False) -> Tensor:
    """S_{i+1} = step_i S_i + add_i; with `back`, S_i = step_i S_{i+1} + add_i. -> all S, [chunks + 1, lanes, K, V].

    add [chunks, lanes, K, V]; edge, the known end, [lanes, K, V] or None for zeros; step None for the identity, factors
    that broadcast over [lanes, K, V], or, with `matrix`, [chunks, lanes, K, K].
    """
    chunks = add.shape[0]
    states = torch.empty(chunks + 1, *add.shape[1:], dtype=add.dtype, device=add.device)
    known = states[chunks] if back else states[0]
    if edge is None:
        known.zero_()
    else:
        known.copy_(edge)
    for i in reversed(range(chunks)) if back else range(chunks):
        come, go = (states[i + 1], states[i]) if back else (states[i], states[i + 1])
        if step is None:
            torch.add(come, add[i], out=go)
        elif matrix:
            torch.baddbmm(add[i], step[i], come, out=go)
        else:
            torch.addcmul(add[i], step[i], come, out=go)
    return states
