"""(I + M)^-1 for strictly lower triangular M, by blocks that double in size.

    [I + M11           ]^-1   [        X11              ]
    [  M21    I + M22  ]    = [ -X22 M21 X11        X22 ]

Each X is the true inverse of a diagonal block, so this is forward substitution by blocks and as accurate. Repeated
squaring, (I - M)(I + M^2)(I + M^4)..., costs the same and is useless here: with correlated keys and beta near 1 its
powers overflow although the inverse itself is of order one. Blocks of four are solved entry by entry, all at once.
"""

from __future__ import annotations

import torch
from torch import Tensor


def unit_lower_inverse(m: Tensor) -> Tensor:
    """m [n, C, C], C a power of two >= 4, only what is below the diagonal is read -> (I + m)^-1 [n, C, C]."""
    size = m.shape[-1]
    x = torch.zeros_like(m)
    x.diagonal(dim1=-2, dim2=-1).fill_(1)
    _solve_fours(m, x)
    block = 4
    while block < size:
        upper_left, lower_right = _blocks(x, block, 0, 0), _blocks(x, block, block, block)
        _blocks(x, block, block, 0).copy_((lower_right @ (_blocks(m, block, block, 0) @ upper_left)).neg_())
        block *= 2
    return x


def _solve_fours(m: Tensor, x: Tensor) -> None:
    """Forward substitution inside the 4 x 4 diagonal blocks: x_rc = -m_rc - sum_{c < j < r} m_rj x_jc."""
    ms = [[_entries(m, row, column) for column in range(row)] for row in range(4)]
    xs = [[_entries(x, row, column) for column in range(row)] for row in range(4)]
    for row in range(1, 4):
        for column in range(row):
            target = torch.neg(ms[row][column], out=xs[row][column])
            for j in range(column + 1, row):
                target.addcmul_(ms[row][j], xs[j][column], value=-1)


def _entries(x: Tensor, row: int, column: int) -> Tensor:
    """The view [n, C / 4] of entry (row, column) of each 4 x 4 diagonal block."""
    n, size, _ = x.shape
    lane, line, _ = x.stride()
    return x.as_strided((n, size // 4), (lane, 4 * (line + 1)), x.storage_offset() + row * line + column)


def _blocks(x: Tensor, block: int, row: int, column: int) -> Tensor:
    """The view [n, pairs, block, block] of the blocks at (row, column) of each diagonal square of two blocks."""
    n, size, _ = x.shape
    shape = (n, size // (2 * block), block, block)
    lane, line, _ = x.stride()
    strides = (lane, 2 * block * (line + 1), line, 1)
    return x.as_strided(shape, strides, x.storage_offset() + row * line + column)
