"""The row part of the fused linear cross-entropy: loss and gradient of a block of logits, in place, a row a program."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from move37.kernels.ops.cross_entropy import chunked as blocks

COLUMNS = 4096


@triton.jit
def softmax_gradient(
    logits, target, losses, factor, ignore, V: tl.constexpr, BV: tl.constexpr, GRADIENT: tl.constexpr
):  # fmt: skip
    """losses[row] = logsumexp - logit of the target; logits <- (softmax - onehot) * factor; zeros where ignored."""
    row = tl.program_id(0).to(tl.int64)
    wanted = tl.load(target + row)
    kept = wanted != ignore
    top, total = -float("inf"), 0.0
    for v0 in range(0, V, BV):
        j = v0 + tl.arange(0, BV)
        x = tl.load(logits + row * V + j, mask=j < V, other=-float("inf")).to(tl.float32)
        higher = tl.maximum(top, tl.max(x, 0))
        total = total * tl.exp(top - higher) + tl.sum(tl.exp(x - higher), 0)
        top = higher
    lse = top + tl.log(total)
    hit = tl.load(logits + row * V + tl.where(kept, wanted, 0)).to(tl.float32)
    tl.store(losses + row, tl.where(kept, lse - hit, 0.0))
    if GRADIENT:
        tl.debug_barrier()
        for v0 in range(0, V, BV):
            j = v0 + tl.arange(0, BV)
            x = tl.load(logits + row * V + j, mask=j < V, other=-float("inf")).to(tl.float32)
            p = (tl.exp(x - lse) - tl.where(j == wanted, 1.0, 0.0)) * tl.where(kept, factor, 0.0)
            tl.store(logits + row * V + j, p.to(logits.dtype.element_ty), mask=j < V)


def _row_part(logits: Tensor, target: Tensor, ignore: int, factor: float, gradient: bool) -> Tensor:
    losses = torch.empty(logits.shape[0], dtype=torch.float32, device=logits.device)
    size = logits.shape[1]
    columns = min(COLUMNS, triton.next_power_of_2(size))
    softmax_gradient[(logits.shape[0],)](
        logits, target, losses, factor, ignore, V=size, BV=columns, GRADIENT=gradient, num_warps=8
    )
    return losses.sum()


def linear_cross_entropy(
    x: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None, ignore: int, mean: bool
) -> Tensor:
    """As move37.kernels.ops.cross_entropy.chunked.linear_cross_entropy, with the row part in one kernel."""
    return blocks.linear_cross_entropy(x, weight, target, bias, ignore, mean, rows=_row_part)
