"""(I + M)^-1 for strictly lower triangular M, by blocks that double in size.

    [I + M11           ]^-1   [        X11              ]
    [  M21    I + M22  ]    = [ -X22 M21 X11        X22 ]

Each X is the true inverse of a diagonal block, so this is forward substitution by blocks and as accurate. Repeated
squaring, (I - M)(I + M^2)(I + M^4)..., costs the same and is useless here: with correlated keys and beta near 1 its
powers overflow although the inverse itself is of order one. Blocks of eight are solved row by row, all at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 8
PADDING = 16  # elements: without it the rows below are a power of two apart and share one set of the cache


def unit_lower_inverse(m: Tensor) -> Tensor:
    """m [n, C, C], C a power of two >= 8, only what is below the diagonal is read -> (I + m)^-1 [n, C, C]."""
    x = torch.zeros_like(m)
    _solve_base(m, x)
    x.diagonal(dim1=-2, dim2=-1).fill_(1)
    block = BASE
    while block < m.shape[-1]:
        upper_left, lower_right = _blocks(x, 2 * block, block, 0, 0), _blocks(x, 2 * block, block, block, block)
        lower_left = lower_right @ (_blocks(m, 2 * block, block, block, 0) @ upper_left)
        torch.neg(lower_left, out=_blocks(x, 2 * block, block, block, 0))
        block *= 2
    return x


def _solve_base(m: Tensor, x: Tensor) -> None:
    """Forward substitution inside the diagonal blocks: x_r = -m_r - sum_{0 < j < r} m_rj x_j for each row r.

    The blocks are the last axes while this runs, so that one operation serves a row of all of them.
    """
    given, into = (_blocks(t, BASE, BASE, 0, 0).permute(2, 3, 0, 1) for t in (m, x))
    n, count = given.shape[2:]
    rows = m.new_empty(BASE, BASE, n * count + PADDING)[..., : n * count].view(given.shape)
    below = m.new_ones(BASE, BASE).tril_(-1).neg_()
    torch.mul(given, below[:, :, None, None], out=rows)
    for j in range(1, BASE - 1):
        # Row j is done. Column j of the rows below is still -m, since only later rows change it.
        rows[j + 1 :, :j].addcmul_(rows[j + 1 :, j : j + 1], rows[j, :j])
    into.copy_(rows)


def _blocks(x: Tensor, square: int, block: int, row: int, column: int) -> Tensor:
    """The view [n, C / square, block, block] of the blocks at (row, column) of each diagonal square."""
    n, size, _ = x.shape
    lane, line, _ = x.stride()
    strides = (lane, square * (line + 1), line, 1)
    return x.as_strided((n, size // square, block, block), strides, x.storage_offset() + row * line + column)
