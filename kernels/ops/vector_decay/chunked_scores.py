"""The triangles A and P of chunked.py, from squares that double in size, and the gradients through them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def scores(q: Tensor, k: Tensor, gamma: Tensor, *, erase: bool) -> tuple[Tensor, Tensor]:
    """A [n, C, C], zero above the diagonal, from q (scaled), k and gamma [n, C, K]; with `erase` P, strictly lower."""
    n, size, _ = q.shape
    a = q.new_zeros(n, size, size)
    p = q.new_zeros(n, size, size) if erase else a
    a.diagonal(dim1=1, dim2=2).copy_((q * k).sum(-1))
    for block, rise, fall in _decays(gamma):
        columns = (halves(k, block)[0] * fall).mT
        square_below(a, block).copy_((halves(q, block)[1] * rise) @ columns)
        if erase:
            square_below(p, block).copy_((halves(k, block)[1] * rise) @ columns)
    return a, p


def scores_backward(
    da: Tensor,
    dm: Tensor | None,
    q: Tensor,
    k: Tensor,
    beta: Tensor | None,
    gamma: Tensor,
    dq: Tensor,
    h: Tensor | None,
) -> Tensor:
    """Add the gradients through A's rows to dq and through M's (M = beta P, without beta) to h; -> that of the columns.

    da, dm [n, C, C] are read below the diagonal.
    """
    dk = torch.zeros_like(k)
    rates = None if beta is None else beta * k
    for block, rise, fall in _decays(gamma):
        columns = halves(k, block)[0] * fall
        square = square_below(da, block)
        halves(dq, block)[1].add_((square @ columns).mul_(rise))
        into = square.mT @ (halves(q, block)[1] * rise)
        if dm is not None and h is not None and rates is not None:
            square = square_below(dm, block)
            halves(h, block)[1].add_((square @ columns).mul_(rise))
            into += square.mT @ (halves(rates, block)[1] * rise)
        halves(dk, block)[0].add_(into.mul_(fall))
    return dk


def _decays(gamma: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """For each level: its block size, e^{G_i - G_m} of the rows and e^{G_m - G_j} of the columns."""
    block = 1
    while block < gamma.shape[1]:
        earlier, later = halves(gamma, block)
        middle = earlier[:, :, -1:]
        yield block, (later - middle).exp2_(), (middle - earlier).exp2_()
        block *= 2


def halves(x: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """[n, C, K] -> the first and second halves of each 2 * block rows, as views [n, C / (2 block), block, K]."""
    pairs = x.view(x.shape[0], -1, 2, block, x.shape[2])
    return pairs[:, :, 0], pairs[:, :, 1]


def square_below(a: Tensor, block: int) -> Tensor:
    """The views [n, C / (2 block), block, block] of the squares below the diagonal at this level."""
    n, size, _ = a.shape
    lane, line, _ = a.stride()
    return a.as_strided((n, size // (2 * block), block, block), (lane, 2 * block * (line + 1), line, 1),
                        a.storage_offset() + block * line)  # fmt: skip
