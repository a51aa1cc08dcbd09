"""Linear layer and cross-entropy in one, by blocks of the vocabulary: the logits [tokens, vocabulary] never exist.

    forward    a block of logits after the other, small enough for the cache: the running maximum and sum of a row
    gradient   the blocks again, now as probabilities p: dx += p W_block, dW_block = p^T x; the targets' ones at the end

A product more than with all logits at hand, and still less than half the time, which goes to memory there; each row of
dW is written once. Where one block holds the whole vocabulary its logits are used twice instead. The gradients are
formed in the forward pass and scaled in the backward pass; those of float16 wait in float32, because the smallest that
a mean over tokens leaves are zero in it before a loss scale comes in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from move37.kernels.common.operator import Arguments, Operator, accumulation_dtype, needs_gradient
from move37.kernels.errors import BadOption

BLOCK_ELEMENTS = 1 << 20  # logits that exist at once
SMALLEST_LOG = -70.0  # of a probability: its gradient is lost in rounding long before
BLOCK_ROWS = 2048  # tokens of a block at most: more of them leave no room for the vocabulary


def linear_cross_entropy(
    x: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None, ignore: int, mean: bool
) -> Tensor:
    """x [N, D], weight [V, D], bias [V], target [N] -> mean or sum of -log softmax(x W^T + b)[target].

    Raises BadOption for a target outside the vocabulary.
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
    dtype = accumulation_dtype(x)
    check_targets(target, weight.shape[0], ignore)
    counted = target != ignore
    factor = 1 / max(1, int(counted.sum())) if mean else 1.0
    shares, wanted = counted.to(dtype).mul_(factor), target.masked_fill(~counted, 0)
    unwritten = torch.empty if x.shape[0] else torch.zeros  # the first rows write it, and without rows nobody does
    found = (
        torch.zeros(x.shape if wants_x else 0, dtype=dtype, device=x.device),
        unwritten(weight.shape if wants_w else 0, dtype=dtype, device=x.device),
        torch.zeros(weight.shape[:1] if wants_b else 0, dtype=dtype, device=x.device),
    )
    loss = torch.zeros((), dtype=dtype, device=x.device)
    for start in range(0, x.shape[0], BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        into = (found[0][rows], *found[1:])
        loss += _rows(x[rows].to(dtype), weight, bias, wanted[rows], shares[rows], into, first=start == 0)
    flags = (wants_x, wants_w, wants_b)
    kinds = (kept_dtype(x), kept_dtype(weight), kept_dtype(x if bias is None else bias))
    return loss, *(dx.to(kind) for dx, kind, wanted_ in zip(found, kinds, flags, strict=True) if wanted_)


def kept_dtype(x: Tensor) -> torch.dtype:
    """Of a gradient of x between the two passes."""
    return torch.float32 if x.dtype == torch.float16 else x.dtype


def _rows(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    shares: Tensor,
    into: tuple[Tensor, Tensor, Tensor],
    *,
    first: bool,
) -> Tensor:
    """The loss of some rows, weighted by `shares`; their gradients go into `into` (empty: not wanted).

    They are added to what is there; of the weight's nothing is there when these are the `first` rows.
    """
    width = max(1, BLOCK_ELEMENTS // x.shape[0])
    once = width >= weight.shape[0]
    # Finite: a bias of -inf takes words out, a whole block of them too, and -inf - -inf would be no number.
    top, total = x.new_full((x.shape[0], 1), torch.finfo(x.dtype).min), x.new_zeros(x.shape[0], 1)
    for _, logits in _blocks(x, weight, bias, width):
        higher = torch.maximum(top, logits.amax(1, keepdim=True))
        total.mul_((top - higher).exp_()).add_(logits.sub_(higher).exp_().sum(1, keepdim=True))
        top = higher
    lse = total.log().add_(top)
    hit = (x * weight[target].to(x.dtype)).sum(1)
    if bias is not None:
        hit = hit + bias[target].to(x.dtype)
    dx, dw, db = into
    if dx.numel() or dw.numel() or db.numel():
        again = _blocks(x, weight, bias, width, lse)
        if once:
            again = iter([(slice(0, weight.shape[0]), logits.div_(total).clamp_(min=math.exp(SMALLEST_LOG)))])
        for part, probabilities in again:
            probabilities.mul_(shares.unsqueeze(1))
            if dx.numel():
                dx.addmm_(probabilities, weight[part].to(x.dtype))
            if dw.numel():
                if first:
                    torch.mm(probabilities.t(), x, out=dw[part])
                else:
                    dw[part].addmm_(probabilities.t(), x)
            if db.numel():
                db[part].add_(probabilities.sum(0))
        _targets(x, weight, target, shares, into)
    losses = (lse.squeeze(1) - hit).masked_fill_(shares == 0, 0.0)  # no target: word 0 stood in, which may be out
    return losses.mul_(shares).sum()


def _targets(x: Tensor, weight: Tensor, target: Tensor, shares: Tensor, into: tuple[Tensor, Tensor, Tensor]) -> None:
    """What the targets' own logits take away from the gradients."""
    dx, dw, db = into
    if dx.numel():
        dx.addcmul_(weight[target].to(x.dtype), shares.unsqueeze(1), value=-1)
    if dw.numel():
        dw.index_add_(0, target, x * shares.unsqueeze(1), alpha=-1)
    if db.numel():
        db.index_add_(0, target, shares, alpha=-1)


def _blocks(
    x: Tensor, weight: Tensor, bias: Tensor | None, width: int, lse: Tensor | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """The logits of x [n, D] by blocks of the vocabulary, in one place; with `lse` as probabilities."""
    room = x.new_empty(x.shape[0] * min(width, weight.shape[0]))
    for start in range(0, weight.shape[0], width):
        part = slice(start, start + width)
        block = weight[part].to(x.dtype)
        logits = room[: x.shape[0] * block.shape[0]].view(x.shape[0], block.shape[0])
        if lse is None:
            torch.mm(x, block.t(), out=logits)
        else:
            torch.addmm(lse.neg(), x, block.t(), out=logits)
        if bias is not None:
            logits.add_(bias[part].to(x.dtype))
        # Below SMALLEST_LOG there is nothing to gain but denormal numbers, which make a product ten times as slow.
        yield part, logits if lse is None else logits.clamp_(min=SMALLEST_LOG).exp_()


def check_targets(target: Tensor, vocabulary: int, ignore: int) -> None:
    """Raise BadOption for a target outside the vocabulary."""
    counted = target[target != ignore]
    if counted.numel() and not (int(counted.min()) >= 0 and int(counted.max()) < vocabulary):
        got = f"{int(counted.min())}..{int(counted.max())}"
        raise BadOption("target", got, f"in 0..{vocabulary - 1}, or {ignore} where none is due")


def scaled(arguments: Arguments, kept: tuple[Tensor, ...], gradients: Sequence[Tensor | None]) -> list[Tensor]:
    """The backward pass: what the forward pass kept, times the gradient of the loss."""
    (dloss,) = gradients
    kinds = [x.dtype for x, wanted in zip(arguments, wants(arguments), strict=True) if wanted]
    if dloss is None:
        return [torch.zeros_like(x, dtype=kind) for x, kind in zip(kept, kinds, strict=True)]
    # Never in the gradients' own dtype: a loss scale of 65536 is infinite in float16, and a third is rough in bfloat16.
    return [(x.to(dloss.dtype) * dloss).to(kind) for x, kind in zip(kept, kinds, strict=True)]


def shapes(
    x: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None,
    ignore: int,
    mean: bool,
    wants_x: bool,
    wants_w: bool,
    wants_b: bool,
) -> list[Tensor]:
    """The loss and the wanted gradients, empty."""
    found = [x.new_empty((), dtype=accumulation_dtype(x))]
    for tensor, wanted in ((x, wants_x), (weight, wants_w), (bias, wants_b)):
        found += [tensor.new_empty(tensor.shape, dtype=kept_dtype(tensor))] if wanted and tensor is not None else []
    return found


def wants(arguments: Arguments) -> list[bool]:
    """Which arguments get a gradient: the ones whose flag is on."""
    wants_x, wants_w, wants_b = arguments[6:]
    return [wants_x, wants_w, False, wants_b, *([False] * 5)]


SCHEMA = (
    "Tensor x, Tensor weight, Tensor target, Tensor? bias, int ignore, bool mean, "
    "bool wants_x, bool wants_w, bool wants_b"
)

_cross_entropy = Operator(
    "chunked_cross_entropy", SCHEMA, forward=_forward, backward=scaled, shapes=shapes, visible=1, wants=wants
)
