"""Linear layer and cross-entropy in one: `fused_linear_cross_entropy_loss`. Checks, then the implementation."""

from __future__ import annotations

import torch
from torch import Tensor

from move37.kernels import contract
from move37.kernels.dispatch import choose
from move37.kernels.errors import BadDtype, BadOption, BadShape
from move37.kernels.ops.cross_entropy import chunked, naive


def fused_linear_cross_entropy_loss(
    x: Tensor,
    target: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    logit_scale: float = 1.0,
    logit_softcapping: float | None = None,
    num_chunks: int = 8,
    reduction: str = "mean",
    **options: object,
) -> Tensor:
    """Linear layer and cross-entropy in one: the loss of x weight^T + bias, without its logits in memory.

    Shapes: x [..., D]; target [...], int64; weight [V, D]; bias [V] -> loss [], float32 (float64 as x); V words.

    reduction "mean" over the targets that are not ignore_index (0 when there is none), or "sum". Smoothing, scale and
    cap of the logits are refused; `num_chunks` is not needed: a block of logits has one size. On a GPU a target outside
    the vocabulary is not looked for; it makes the loss nan. Raises kernels.errors.KernelError.
    """
    options = {
        **options,
        "label_smoothing": label_smoothing,
        "logit_scale": logit_scale,
        "logit_softcapping": logit_softcapping,
    }
    contract.check_options(
        options, label_smoothing=0.0, logit_scale=1.0, accumulate_grad_in_fp32=True, l2_penalty_factor=1e-4
    )
    if reduction not in ("mean", "sum"):
        raise BadOption("reduction", reduction, "'mean' or 'sum'")
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
        raise BadOption("ignore_index", ignore_index, "an integer")
    contract.check_tensors(x=x, weight=weight)
    x, weight = contract.under_autocast(x, weight)
    _check_loss(x, target, weight, bias)
    rows, targets = x.reshape(-1, x.shape[-1]), target.reshape(-1)
    where = choose(x.device)
    if where == "reference":
        chunked.check_targets(targets, weight.shape[0], ignore_index)
        return naive.linear_cross_entropy(rows, weight, targets, bias, ignore_index, reduction == "mean")
    if where == "triton":
        # Here, and not above: importing Triton takes a second, and only a GPU needs it.
        from move37.kernels.ops.cross_entropy import triton

        return triton.linear_cross_entropy(rows, weight, targets, bias, ignore_index, reduction == "mean")
    return chunked.linear_cross_entropy(rows, weight, targets, bias, ignore_index, reduction == "mean")


def _check_loss(x: Tensor, target: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    contract.check_floating("x", x)
    contract.check_tensor("weight", weight)
    if weight.dim() != 2 or weight.shape[1] != x.shape[-1]:
        raise BadShape("weight", tuple(weight.shape), f"[vocabulary, {x.shape[-1]}], as x says")
    contract.check_tensor("target", target)
    if target.shape != x.shape[:-1]:
        raise BadShape("target", tuple(target.shape), f"{list(x.shape[:-1])}, as x says")
    if target.dtype != torch.int64:
        raise BadDtype("target", target.dtype, "int64")
    contract.check_device("target", target, x)
    contract.check_gate("weight", weight, tuple(weight.shape), x)
    contract.check_gate("bias", bias, tuple(weight.shape[:1]), x)
    if weight.dtype != x.dtype:
        raise BadDtype("weight", weight.dtype, f"{x.dtype}, as x is")
