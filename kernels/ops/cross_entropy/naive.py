"""Linear layer and cross-entropy, -log softmax(x W^T + b)[target], from all logits at once, in float64."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from move37.kernels.common.operator import accumulation_dtype


def linear_cross_entropy(
    x: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None, ignore: int, mean: bool
) -> Tensor:
    """x [N, D], weight [V, D], target [N] -> the loss, mean (0 of none) or sum over targets that are not `ignore`;
    float32, or float64 as x."""
    logits = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    total = F.cross_entropy(logits, target, ignore_index=ignore, reduction="sum")
    loss = total / (target != ignore).sum().clamp(min=1) if mean else total
    return loss.to(accumulation_dtype(x))
