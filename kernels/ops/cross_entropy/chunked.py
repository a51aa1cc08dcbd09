"""Linear layer and cross-entropy in one, by blocks of rows: the logits [tokens, vocabulary] never exist at once.

The gradients are formed in the forward pass, while a block of logits is there, and scaled in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_ELEMENTS = 1 << 20  # logits that exist at once

# (logits, target, ignore, factor, gradient?) -> the sum of the losses; turns the logits into their gradient, in place
RowPart = Callable[[Tensor, Tensor, int, float, bool], Tensor]


def softmax_gradient(logits: Tensor, target: Tensor, ignore: int, factor: float, gradient: bool) -> Tensor:
    """The row part in PyTorch: logits [n, V], target [n]."""
    counted = (target != ignore).unsqueeze(1).to(logits.dtype)
    wanted = target.masked_fill(target == ignore, 0).unsqueeze(1)
    lse = logits.logsumexp(1, keepdim=True)
    loss = (lse - logits.gather(1, wanted)).mul_(counted).sum()
    if gradient:
        logits.sub_(lse).exp_().scatter_add_(1, wanted, logits.new_full(wanted.shape, -1.0)).mul_(counted * factor)
    return loss


def linear_cross_entropy(
    x: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None,
    ignore: int,
    mean: bool,
    rows: RowPart = softmax_gradient,
) -> Tensor:
    """x [N, D], weight [V, D], bias [V], target [N] -> mean or sum of -log softmax(x W^T + b)[target]."""
    loss: Tensor = _LinearCrossEntropy.apply(x, weight, target, bias, ignore, mean, rows)  # type: ignore[no-untyped-call]
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        target: Tensor,
        bias: Tensor | None,
        ignore: int,
        mean: bool,
        rows: RowPart,
    ) -> Tensor:
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        factor = 1 / max(1, int((target != ignore).sum())) if mean else 1.0
        wants_x, wants_w, _, wants_b = ctx.needs_input_grad[:4]
        wants = wants_x or wants_w or wants_b
        dx = torch.empty_like(x) if wants_x else None
        dw = torch.zeros(weight.shape, dtype=dtype, device=x.device) if wants_w else None
        db = torch.zeros(weight.shape[:1], dtype=dtype, device=x.device) if wants_b else None
        loss = torch.zeros((), dtype=dtype, device=x.device)
        for start in range(0, x.shape[0], height := max(1, BLOCK_ELEMENTS // weight.shape[0])):
            block = slice(start, start + height)
            logits = torch.nn.functional.linear(x[block], weight, bias).to(dtype)
            loss += rows(logits, target[block], ignore, factor, wants)
            if dx is not None:
                torch.mm(logits.to(x.dtype), weight.to(x.dtype), out=dx[block])
            if dw is not None:
                dw.addmm_(logits.t(), x[block].to(dtype))
            if db is not None:
                db.add_(logits.sum(0))
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
            None,
        )
