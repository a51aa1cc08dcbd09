"""One over a row's length, for rows of any finite size: a square overflows long before its root does."""

from __future__ import annotations

import torch
from torch import Tensor

LONGEST, SHORTEST = 1e18, 1e-18  # beyond these a square leaves float32 (or eps alone keeps it there)


def inverse_length(square: Tensor, x: Tensor, eps: float, size: int = 1) -> Tensor:
    """1 / sqrt(|x|^2 / size + eps) of each row of x [.., D], in the shape of `square`, its |x|^2, which is changed.

    Rows whose squares overflow, or underflow with no eps to speak of, are divided by their largest number first.
    """
    r = square.div_(size).add_(eps).rsqrt_()
    if r.is_meta or bool(((r > 1 / LONGEST) & (r < 1 / SHORTEST)).all()):
        return r
    top = x.abs().amax(-1).view(r.shape)
    top = torch.where((top > 0) & top.isfinite(), top, 1.0)
    unit = x / top.view(*x.shape[:-1], 1)
    return unit.square().sum(-1).view(r.shape).div_(size).add_(eps / top / top).rsqrt_().div_(top)
