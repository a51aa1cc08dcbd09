"""The small operators around a mixer: short convolution, gated norm, l2norm, linear layer with cross-entropy.

Argument names and meanings follow flash-linear-attention 0.6; what is left out is refused by name (README.md).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from move37.kernels import contract
from move37.kernels.dispatch import choose
from move37.kernels.errors import BadDtype, BadOption, BadShape
from move37.kernels.packing import Packed


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    activation: str | None = None,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """Depthwise causal convolution over time: y_t = act(sum_i weight[:, i] x_{t-W+1+i} + bias).

    x [B, T, D]; weight [D, W]; bias [D]; initial_state [N, D, W], the last W inputs, newest last (the oldest is not
    read); activation None, "silu" or "swish". -> y [B, T, D], and the state after the last token or None.
    `residual` is refused. Raises kernels.errors.KernelError.
    """
    contract.check_options({**options, "residual": residual}, backend="triton")
    if activation not in (None, "silu", "swish"):
        raise BadOption("activation", activation, "None, 'silu' or 'swish'")
    bounds = _check_conv(x, weight, bias, initial_state, cu_seqlens)
    silu, name = activation is not None, choose(x.device)
    sequences, packed = x, None
    if bounds is not None:
        packed = Packed(bounds, x.device)
        sequences = packed.unpack(x)
    if name == "reference":
        from move37.kernels.reference import pointwise

        y, _ = pointwise.causal_conv1d(sequences, weight, bias, initial_state, silu)
    else:
        past = None if initial_state is None else initial_state[..., 1:].transpose(1, 2)
        if name == "triton":
            from move37.kernels.triton.conv import conv
        else:
            from move37.kernels.chunked.conv import conv
        y = conv(sequences, weight, bias, past, silu)
    final = _last_inputs(x, initial_state, weight.shape[1], bounds) if output_final_state else None
    return (y if packed is None else packed.pack(y)), final


def rms_norm_gated(
    x: Tensor,
    g: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    activation: str = "swish",
    residual: Tensor | None = None,
    prenorm: bool = False,
    residual_in_fp32: bool = False,
    eps: float = 1e-6,
    **options: object,
) -> Tensor:
    """(x / sqrt(mean x^2 + eps) * weight + bias) * act(g) over the last axis.

    x, g [..., D]; weight, bias [D]; activation "swish", "silu" or "sigmoid". -> [..., D] in x's dtype.
    `residual` and what belongs to it are refused. Raises kernels.errors.KernelError.
    """
    options = {**options, "residual": residual, "prenorm": prenorm, "residual_in_fp32": residual_in_fp32}
    contract.check_options(options)
    if activation not in ("swish", "silu", "sigmoid"):
        raise BadOption("activation", activation, "'swish', 'silu' or 'sigmoid'")
    _check_floating("x", x)
    contract.check_gate("g", g, tuple(x.shape), x)
    for name, tensor in (("weight", weight), ("bias", bias)):
        contract.check_gate(name, tensor, tuple(x.shape[-1:]), x)
    where = choose(x.device)
    if where == "reference":
        from move37.kernels.reference import pointwise

        return pointwise.rms_norm_gated(x, g, weight, bias, eps, activation == "sigmoid")
    if where == "triton":
        from move37.kernels.triton.norms import rms_norm_gated as normed
    else:
        from move37.kernels.chunked.norms import rms_norm_gated as normed
    return normed(x, g, weight, bias, eps, activation == "sigmoid")


def l2norm(x: Tensor, eps: float = 1e-6, output_dtype: torch.dtype | None = None) -> Tensor:
    """x / sqrt(|x|^2 + eps) over the last axis, in x's dtype or `output_dtype`. Raises kernels.errors.KernelError."""
    _check_floating("x", x)
    dtype, where = output_dtype or x.dtype, choose(x.device)
    if dtype not in contract.DTYPES:
        raise BadDtype("output_dtype", dtype, "float32, bfloat16, float16 or float64")
    if where == "reference":
        from move37.kernels.reference import pointwise

        return pointwise.l2norm(x, eps).to(dtype)
    if where == "triton":
        from move37.kernels.triton.norms import l2norm as normed
    else:
        from move37.kernels.chunked.norms import l2norm as normed
    return normed(x, eps, dtype)


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
    """Cross-entropy of x weight^T + bias against target, without ever holding all logits.

    x [..., D]; target [...], int64; weight [vocabulary, D]; bias [vocabulary]; reduction "mean" over the targets that
    are not ignore_index (0 when there is none), or "sum". -> a float32 scalar (float64 with float64 inputs).
    Smoothing, scale and cap of the logits are refused; `num_chunks` is not needed: a block of logits has one size.
    Raises kernels.errors.KernelError.
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
    _check_loss(x, target, weight, bias, ignore_index)
    rows, targets = x.reshape(-1, x.shape[-1]), target.reshape(-1)
    where = choose(x.device)
    if where == "reference":
        from move37.kernels.reference import pointwise

        return pointwise.linear_cross_entropy(rows, weight, targets, bias, ignore_index, reduction == "mean")
    if where == "triton":
        from move37.kernels.triton.cross_entropy import linear_cross_entropy
    else:
        from move37.kernels.chunked.cross_entropy import linear_cross_entropy
    return linear_cross_entropy(rows, weight, targets, bias, ignore_index, reduction == "mean")


def _check_floating(name: str, x: Tensor) -> None:
    contract.check_tensor(name, x)
    if x.dtype not in contract.DTYPES:
        raise BadDtype(name, x.dtype, "float32, bfloat16, float16 or float64")
    if x.dim() < 1 or x.shape[-1] < 1:
        raise BadShape(name, tuple(x.shape), "[..., features] with at least one feature")


def _check_loss(x: Tensor, target: Tensor, weight: Tensor, bias: Tensor | None, ignore: int) -> None:
    _check_floating("x", x)
    contract.check_tensor("weight", weight)
    if weight.dim() != 2 or weight.shape[1] != x.shape[-1]:
        raise BadShape("weight", tuple(weight.shape), f"[vocabulary, {x.shape[-1]}], as x says")
    contract.check_tensor("target", target)
    if target.shape != x.shape[:-1]:
        raise BadShape("target", tuple(target.shape), f"{list(x.shape[:-1])}, as x says")
    if target.dtype != torch.int64:
        raise BadDtype("target", target.dtype, "int64")
    contract.check_gate("weight", weight, tuple(weight.shape), x)
    contract.check_gate("bias", bias, tuple(weight.shape[:1]), x)
    if weight.dtype != x.dtype:
        raise BadDtype("weight", weight.dtype, f"{x.dtype}, as x is")
    counted = target[target != ignore]
    if counted.numel() and not (int(counted.min()) >= 0 and int(counted.max()) < weight.shape[0]):
        got = f"{int(counted.min())}..{int(counted.max())}"
        raise BadOption("target", got, f"in 0..{weight.shape[0] - 1}, or {ignore} where none is due")


def _check_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None, cu_seqlens: Tensor | None
) -> list[int] | None:
    _check_floating("x", x)
    if x.dim() != 3 or x.shape[1] < 1:
        raise BadShape("x", tuple(x.shape), "[batch, time, channels] with at least one token")
    batch, time, channels = x.shape
    contract.check_tensor("weight", weight)
    if weight.dim() != 2 or weight.shape[0] != channels or weight.shape[1] < 1:
        raise BadShape("weight", tuple(weight.shape), f"[{channels} channels, taps]")
    contract.check_gate("weight", weight, tuple(weight.shape), x)
    contract.check_gate("bias", bias, (channels,), x)
    bounds = contract.check_sequences(cu_seqlens, batch, time)
    sequences = batch if bounds is None else len(bounds) - 1
    contract.check_gate("initial_state", state, (sequences, channels, weight.shape[1]), x)
    return bounds


def _last_inputs(x: Tensor, state: Tensor | None, width: int, bounds: list[int] | None) -> Tensor:
    """The last `width` inputs of each sequence, [N, D, width], newest last; zeros before the first."""
    past = x.new_zeros(x.shape[0] if bounds is None else len(bounds) - 1, x.shape[2], width) if state is None else state
    past = past.to(x.dtype)
    if bounds is None:
        return torch.cat((past, x[:, -width:].transpose(1, 2)), -1)[..., -width:]
    rows = [
        torch.cat((past[n], x[0, lo:hi][-width:].t()), -1)[:, -width:] for n, (lo, hi) in enumerate(pairwise(bounds))
    ]
    return torch.stack(rows)
