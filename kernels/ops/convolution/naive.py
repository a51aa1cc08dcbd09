"""The short convolution of H3 and Mamba (arXiv 2312.00752, section 3.4) as it is defined, in float64."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def causal_conv1d(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None, activation: bool
) -> tuple[Tensor, Tensor]:
    """y_t = act(sum_i w_i x_{t-W+1+i} + b): x [B, T, D], weight [D, W], state [B, D, W], the last W inputs."""
    width = weight.shape[1]
    xs = x.double().transpose(1, 2)
    past = xs.new_zeros(*xs.shape[:2], width) if state is None else state.double()
    seen = torch.cat((past, xs), -1)
    y = F.conv1d(
        seen[..., 1:], weight.double().unsqueeze(1), None if bias is None else bias.double(), groups=xs.shape[1]
    )
    y = F.silu(y) if activation else y
    return y.transpose(1, 2).to(x.dtype), seen[..., -width:].to(x.dtype)
