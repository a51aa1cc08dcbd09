"""RMSNorm (Zhang, Sennrich, arXiv 1910.07467, eq. 4) times a gate, as in Mamba-2 and RetNet, and l2norm; in float64."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def rms_norm_gated(
    x: Tensor, g: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sigmoid: bool
) -> Tensor:
    """(x rsqrt(mean x^2 + eps) w + b) act(g), act = SiLU or sigmoid, over the last axis."""
    xs, gs = x.double(), g.double()
    y = xs * (xs.square().mean(-1, keepdim=True) + eps).rsqrt()
    y = y if weight is None else y * weight.double()
    y = y if bias is None else y + bias.double()
    return (y * (gs.sigmoid() if sigmoid else F.silu(gs))).to(x.dtype)


def l2norm(x: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """x / sqrt(|x|^2 + eps) in `dtype`, over the last axis."""
    xs = x.double()
    return (xs * (xs.square().sum(-1, keepdim=True) + eps).rsqrt()).to(dtype)
