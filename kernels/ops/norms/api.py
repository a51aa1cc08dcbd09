"""Norms over the last axis: `rms_norm_gated` and `l2norm`. Arguments are checked here and the implementation chosen."""

from __future__ import annotations

import torch
from torch import Tensor

from move37.kernels import contract
from move37.kernels.dispatch import choose
from move37.kernels.errors import BadDtype, BadOption
from move37.kernels.ops.norms import chunked, naive


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
    """RMSNorm with a gate: (x / sqrt(mean x^2 + eps) * weight + bias) * act(g) over the last axis.

    Shapes: x, g [..., D]; weight, bias [D] -> y [..., D], in x's dtype.

    activation "swish", "silu" or "sigmoid". `residual` and its like are refused. Raises kernels.errors.KernelError.
    """
    options = {**options, "residual": residual, "prenorm": prenorm, "residual_in_fp32": residual_in_fp32}
    contract.check_options(options)
    if activation not in ("swish", "silu", "sigmoid"):
        raise BadOption("activation", activation, "'swish', 'silu' or 'sigmoid'")
    contract.check_floating("x", x)
    contract.check_tensor("g", g)
    contract.check_gate("g", g, tuple(x.shape), x)
    for name, tensor in (("weight", weight), ("bias", bias)):
        contract.check_gate(name, tensor, tuple(x.shape[-1:]), x)
    eps, where = contract.number("eps", eps), choose(x.device)
    if where == "reference":
        return naive.rms_norm_gated(x, g, weight, bias, eps, activation == "sigmoid")
    if where == "triton":
        # Here, and not above: importing Triton takes a second, and only a GPU needs it.
        from move37.kernels.ops.norms import triton

        return triton.rms_norm_gated(x, g, weight, bias, eps, activation == "sigmoid")
    return chunked.rms_norm_gated(x, g, weight, bias, eps, activation == "sigmoid")


def l2norm(x: Tensor, eps: float = 1e-6, output_dtype: torch.dtype | None = None) -> Tensor:
    """Vectors of length one: x / sqrt(|x|^2 + eps) over the last axis, in x's dtype or `output_dtype`.

    Shapes: x [..., D] -> y [..., D]. Raises kernels.errors.KernelError.
    """
    contract.check_floating("x", x)
    dtype, where, eps = output_dtype or x.dtype, choose(x.device), contract.number("eps", eps)
    if dtype not in contract.DTYPES:
        raise BadDtype("output_dtype", dtype, "float32, bfloat16, float16 or float64")
    if where == "reference":
        return naive.l2norm(x, eps, dtype)
    if where == "triton":
        from move37.kernels.ops.norms import triton

        return triton.l2norm(x, eps, dtype)
    return chunked.l2norm(x, eps, dtype)
