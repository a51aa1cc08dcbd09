"""The only sequential part: states from chunk to chunk, forwards or, for their gradients, backwards.

All tensors are chunk first: [chunks, batch_heads, ...], batch_heads the heads of all sequences.
"""

from __future__ import annotations

import torch
from torch import Tensor


def by_chunk(x: Tensor, batch_heads: int) -> Tensor:
    """[chunks * batch_heads, ...] -> [chunks, batch_heads, ...]."""
    return x.view(-1, batch_heads, *x.shape[1:])


def state_scan(step: Tensor | None, add: Tensor, edge: Tensor | None, *, back: bool = False) -> Tensor:
    """S_{i+1} = step_i S_i + add_i; with `back`, S_i = step_i S_{i+1} + add_i. -> all S.

    What comes back has shape [chunks + 1, batch_heads, K, V]; add [chunks, batch_heads, K, V]; edge, the known end,
    [batch_heads, K, V] or None for zeros; step None for the identity, or factors
    [chunks, batch_heads, ...] that broadcast over K and V.
    """
    states = _known(add.shape[0], add.shape[1:], edge, add, back)
    for i, come, go in _order(states, back):
        if step is None:
            torch.add(come, add[i], out=go)
        else:
            torch.addcmul(add[i], step[i], come, out=go)
    return states


def delta_state_scan(
    rows: Tensor,
    reads: Tensor,
    writes: Tensor,
    step: Tensor | None,
    add: Tensor | None,
    edge: Tensor | None,
    *,
    back: bool = False,
) -> Tensor:
    """rows_i += reads_i S_i, in place, then S_{i+1} = step_i S_i + add_i + writes_i^T rows_i. -> all S.

    With `back`, S_i and S_{i+1} change places. rows [chunks, batch_heads, C, V]; reads, writes [.., .., C, K];
    add None for nothing; step, edge and what is returned as in `state_scan`.
    """
    chunks, batch_heads, _, values = rows.shape
    states = _known(chunks, (batch_heads, reads.shape[3], values), edge, rows, back)
    every_row, every_read, every_write = rows.unbind(), reads.unbind(), writes.mT.unbind()
    for i, come, go in _order(states, back):
        row = every_row[i].baddbmm_(every_read[i], come)
        if add is None:
            go = go.copy_(come) if step is None else torch.mul(come, step[i], out=go)
        else:
            go = torch.add(come, add[i], out=go) if step is None else torch.addcmul(add[i], step[i], come, out=go)
        go.baddbmm_(every_write[i], row)
    return states


def _known(chunks: int, shape: tuple[int, ...], edge: Tensor | None, like: Tensor, back: bool) -> Tensor:
    """Room for the states, the known one filled in."""
    states = like.new_empty(chunks + 1, *shape)
    known = states[chunks] if back else states[0]
    if edge is None:
        known.zero_()
    else:
        known.copy_(edge)
    return states


def _order(states: Tensor, back: bool) -> list[tuple[int, Tensor, Tensor]]:
    """(chunk, state that comes in, state that goes out), in the order of computation."""
    every, chunks = states.unbind(), states.shape[0] - 1
    if back:
        return [(i, every[i + 1], every[i]) for i in reversed(range(chunks))]
    return [(i, every[i], every[i + 1]) for i in range(chunks)]
