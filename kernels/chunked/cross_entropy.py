"""Linear layer and cross-entropy in one, by blocks of rows: the logits [tokens, vocabulary] never exist at once.

The gradients are formed in the forward pass, while a block of logits is there, and scaled in the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_ELEMENTS = 1 << 20  # logits that exist at once


def linear_cross_entropy(
    x: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None, ignore: int, mean: bool
) -> Tensor:
    """x [N, D], weight [V, D], bias [V], target [N] -> mean or sum of -log softmax(x W^T + b)[target]."""
    loss: Tensor = _LinearCrossEntropy.apply(x, weight, target, bias, ignore, mean)
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None, ignore: int, mean: bool
    ) -> Tensor:
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        counted = target != ignore
        factor = 1 / max(1, int(counted.sum())) if mean else 1.0
        wants_x, wants_w, _, wants_b = ctx.needs_input_grad[:4]
        dx = torch.empty_like(x) if wants_x else None
        dw = torch.zeros(weight.shape, dtype=dtype, device=x.device) if wants_w else None
        db = torch.zeros(weight.shape[:1], dtype=dtype, device=x.device) if wants_b else None
        loss = torch.zeros((), dtype=dtype, device=x.device)
        rows = max(1, BLOCK_ELEMENTS // weight.shape[0])
        for start in range(0, x.shape[0], rows):
            block = slice(start, start + rows)
            logits = torch.nn.functional.linear(x[block], weight, bias).to(dtype)
            wanted, keep = target[block].clamp(min=0).unsqueeze(1), counted[block].unsqueeze(1)
            p = torch.log_softmax(logits, -1)
            loss -= p.gather(1, wanted).mul_(keep).sum()
            if not (wants_x or wants_w or wants_b):
                continue
            p.exp_().scatter_add_(1, wanted, p.new_full(wanted.shape, -1.0)).mul_(keep.to(dtype) * factor)
            if dx is not None:
                torch.mm(p.to(x.dtype), weight.to(x.dtype), out=dx[block])
            if dw is not None:
                dw.addmm_(p.t(), x[block].to(dtype))
            if db is not None:
                db.add_(p.sum(0))
        ctx.save_for_backward(dx, dw, db)
        ctx.dtypes = weight.dtype, None if bias is None else bias.dtype
        return loss * factor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dloss: Tensor) -> tuple[Tensor | None, ...]:
        dx, dw, db = ctx.saved_tensors
        return (
            None if dx is None else dx * dloss.to(dx.dtype),
            None if dw is None else (dw * dloss).to(ctx.dtypes[0]),
            None,
            None if db is None else (db * dloss).to(ctx.dtypes[1]),
            None,
            None,
        )
