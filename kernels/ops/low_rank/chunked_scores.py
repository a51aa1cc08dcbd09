"""The four triangles of chunked.py, from squares that double in size, and the gradients through them.

A row of queries has decayed up to its own token, one of `a` up to the token before: it reads the state that comes in.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from move37.kernels.ops.vector_decay.chunked_scores import halves, square_below


def scores(rows: Tensor, columns: Tensor, gamma: Tensor, before: Tensor) -> Tensor:
    """[n, 2, 2, C, C], strictly lower: q (scaled) and a against k and b.

    rows, columns [n, 2, C, K]: q and a, k and b. gamma, before [n, C, K]: logarithms to base 2 of the decay up to and
    with each token, and up to the one before it.
    """
    n, _, size, _ = rows.shape
    found = rows.new_zeros(n, 2, 2, size, size)
    for block, rises, fall in _decays(gamma, before):
        for c in range(2):
            right = (halves(columns[:, c], block)[0] * fall).mT
            for r in range(2):
                square_below(found[:, r, c], block).copy_((halves(rows[:, r], block)[1] * rises[r]) @ right)
    return found


def scores_backward(
    gradient: Tensor, rows: Tensor, columns: Tensor, gamma: Tensor, before: Tensor
) -> tuple[Tensor, Tensor]:
    """-> gradients of rows and of columns [n, 2, C, K] from those of the triangles, read below the diagonal."""
    drows, dcolumns = torch.zeros_like(rows), torch.zeros_like(columns)
    for block, rises, fall in _decays(gamma, before):
        for c in range(2):
            right = halves(columns[:, c], block)[0] * fall
            into = torch.zeros_like(right)
            for r in range(2):
                part = square_below(gradient[:, r, c], block)
                halves(drows[:, r], block)[1].add_((part @ right).mul_(rises[r]))
                into += part.mT @ (halves(rows[:, r], block)[1] * rises[r])
            halves(dcolumns[:, c], block)[0].add_(into.mul_(fall))
    return drows, dcolumns


def _decays(gamma: Tensor, before: Tensor) -> Iterator[tuple[int, tuple[Tensor, Tensor], Tensor]]:
    """A level: its block size, the decays from its middle to the rows of q and of a, and from the columns to it."""
    block = 1
    while block < gamma.shape[1]:
        earlier, later = halves(gamma, block)
        middle = earlier[:, :, -1:]
        until = halves(before, block)[1]
        yield block, ((later - middle).exp2_(), (until - middle).exp2_()), (middle - earlier).exp2_()
        block *= 2
