"""The small operators as their definitions say, in float64; gradients from autograd.

`causal_conv1d`: the short convolution of H3 and Mamba (arXiv 2312.00752, section 3.4)
`rms_norm_gated`: RMSNorm (Zhang, Sennrich, arXiv 1910.07467, eq. 4) times SiLU of a gate, as in Mamba-2 and RetNet
`fused_linear_cross_entropy_loss`: mean over tokens of -log softmax(x W^T + b)[target]
"""

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


def rms_norm_gated(
    x: Tensor, g: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, sigmoid: bool
) -> Tensor:
    """(x rsqrt(mean x^2 + eps) w + b) act(g), act = SiLU or sigmoid, over the last axis."""
    xs, gs = x.double(), g.double()
    y = xs * (xs.square().mean(-1, keepdim=True) + eps).rsqrt()
    y = y if weight is None else y * weight.double()
    y = y if bias is None else y + bias.double()
    return (y * (gs.sigmoid() if sigmoid else F.silu(gs))).to(x.dtype)


def l2norm(x: Tensor, eps: float) -> Tensor:
    """x / sqrt(|x|^2 + eps), over the last axis."""
    xs = x.double()
    return (xs * (xs.square().sum(-1, keepdim=True) + eps).rsqrt()).to(x.dtype)


def linear_cross_entropy(
    x: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None, ignore: int, mean: bool
) -> Tensor:
    """x [N, D], weight [V, D], target [N] -> the loss, mean or sum over targets that are not `ignore`."""
    logits = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    return F.cross_entropy(logits, target, ignore_index=ignore, reduction="mean" if mean else "sum")
