"""The row part of the fused linear cross-entropy: loss and gradient of a block of logits, in place, a row a program."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from move37.kernels.common.operator import Operator, needs_gradient
from move37.kernels.ops.cross_entropy import chunked as blocks

COLUMNS = 4096
BLOCK_ELEMENTS = 1 << 27  # logits that exist at once: each block reads and writes the whole of dW


@triton.jit
def softmax_gradient(
    logits, target, losses, share, ignore, V: tl.constexpr, BV: tl.constexpr, GRADIENT: tl.constexpr
):  # fmt: skip
    """losses[row] = logsumexp - logit of the target; logits <- (softmax - onehot) * factor; zeros where ignored."""
    row = tl.program_id(0).to(tl.int64)
    wanted, factor = tl.load(target + row), tl.load(share)
    kept = wanted != ignore
    top, total = -3.0e38, 0.0  # finite: where a bias of -inf takes out all words of a block, -inf - -inf is no number
    for v0 in range(0, V, BV):
        j = v0 + tl.arange(0, BV)
        x = tl.load(logits + row * V + j, mask=j < V, other=-float("inf")).to(tl.float32)
        higher = tl.maximum(top, tl.max(x, 0))
        total = total * tl.exp(top - higher) + tl.sum(tl.exp(x - higher), 0)
        top = higher
    lse = top + tl.log(total)
    known = (wanted >= 0) & (wanted < V)
    hit = tl.load(logits + row * V + wanted, mask=known, other=float("nan")).to(tl.float32)
    tl.store(losses + row, tl.where(kept, lse - hit, 0.0))
    if GRADIENT:
        tl.debug_barrier()
        for v0 in range(0, V, BV):
            j = v0 + tl.arange(0, BV)
            x = tl.load(logits + row * V + j, mask=j < V, other=-float("inf")).to(tl.float32)
            p = (tl.exp(x - lse) - tl.where(j == wanted, 1.0, 0.0)) * tl.where(kept, factor, 0.0)
            tl.store(logits + row * V + j, p.to(logits.dtype.element_ty), mask=j < V)


def linear_cross_entropy(
    x: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None, ignore: int, mean: bool
) -> Tensor:
    """x [N, D], weight [V, D], bias [V], target [N] -> mean or sum of -log softmax(x W^T + b)[target].

    Nothing is read back from the device: a target outside the vocabulary makes the loss nan.
    """
    wants = [needs_gradient(t) for t in (x, weight, bias)]
    return _cross_entropy(x, weight, target, bias, ignore, mean, *wants)[0]


def _forward(
    x: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None,
    ignore: int,
    mean: bool,
    wants_x: bool,
    wants_w: bool,
    wants_b: bool,
) -> tuple[Tensor, ...]:
    """-> the loss, and the gradients that are wanted."""
    counted = (target != ignore).sum()
    factor = (1 / counted.clamp(min=1)).float() if mean else torch.ones((), device=x.device)
    kind = blocks.kept_dtype(x)
    dx = torch.empty_like(x, dtype=kind) if wants_x else None
    dw = torch.zeros_like(weight, dtype=torch.float32) if wants_w else None
    db = x.new_zeros(weight.shape[:1], dtype=torch.float32) if wants_b else None
    losses = torch.empty(x.shape[0], dtype=torch.float32, device=x.device)
    words = weight.shape[0]
    columns = min(COLUMNS, triton.next_power_of_2(words))
    gradient = wants_x or wants_w or wants_b
    height = max(1, BLOCK_ELEMENTS // words)
    for start in range(0, x.shape[0], height):
        rows = slice(start, start + height)
        logits = torch.nn.functional.linear(x[rows], weight, bias).float()
        softmax_gradient[(logits.shape[0],)](
            logits, target[rows], losses[rows], factor, ignore, V=words, BV=columns, GRADIENT=gradient, num_warps=8
        )
        if dx is not None:
            dx[rows] = logits.to(kind) @ weight.to(kind)
        if dw is not None:
            dw += logits.to(kind).t() @ x[rows].to(kind)
        if db is not None:
            db += logits.sum(0)
    kinds = (kind, blocks.kept_dtype(weight), blocks.kept_dtype(x if bias is None else bias))
    found = (None if d is None else d.to(kind) for d, kind in zip((dx, dw, db), kinds, strict=True))
    return losses.sum() * factor, *(d for d in found if d is not None)


_cross_entropy = Operator(
    "triton_cross_entropy",
    blocks.SCHEMA,
    forward=_forward,
    backward=blocks.scaled,
    shapes=blocks.shapes,
    visible=1,
    wants=blocks.wants,
)
