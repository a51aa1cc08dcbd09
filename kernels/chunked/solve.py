"""(I + M)^-1 for strictly lower triangular M, by blocks that double in size.

    [I + M11           ]^-1   [        X11              ]
    [  M21    I + M22  ]    = [ -X22 M21 X11        X22 ]

Each X is the true inverse of a diagonal block, so this is forward substitution by blocks and as accurate. Repeated
squaring, (I - M)(I + M^2)(I + M^4)..., costs the same and is useless here: with correlated keys and beta near 1 its
powers overflow although the inverse itself is of order one.
"""

from __future__ import annotations

import torch
from torch import Tensor


def unit_lower_inverse(m: Tensor) -> Tensor:
    """m [n, C, C], C a power of two, only the part below the diagonal is read -> (I + m)^-1 [n, C, C]."""
    size = m.shape[-1]
    x = torch.zeros_like(m)
    x.diagonal(dim1=-2, dim2=-1).fill_(1)
    block = 1
    while block < size:
        lower = _blocks(m, block, block, 0)
        out = _blocks(x, block, block, 0)
        if block == 1:
            torch.neg(lower, out=out)
        else:
            upper_left, lower_right = _blocks(x, block, 0, 0), _blocks(x, block, block, block)
            out.copy_((lower_right @ (lower @ upper_left)).neg_())
        block *= 2
    return x


def _blocks(x: Tensor, block: int, row: int, column: int) -> Tensor:
    """The view [n, pairs, block, block] of the blocks at (row, column) of each diagonal square of two blocks."""
    n, size, _ = x.shape
    shape = (n, size // (2 * block), block, block)
    lane, line, _ = x.stride()
    strides = (lane, 2 * block * (line + 1), line, 1)
    return x.as_strided(shape, strides, x.storage_offset() + row * line + column)
