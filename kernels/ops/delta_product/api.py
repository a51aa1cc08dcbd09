"""Gated DeltaProduct: `chunk_gated_delta_product`, by the gated delta rule on a row of its steps.

The steps of a token stand one after the other as if they were tokens: the decay belongs to the first of them, the query
to the last, and only the last one's output is taken. So each implementation of the gated delta rule serves it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from move37.kernels import contract
from move37.kernels.common.gates import apply_gates
from move37.kernels.errors import BadOption, BadShape
from move37.kernels.ops.scalar_decay.api import chunk_gated_delta_rule, fused_recurrent_gated_delta_rule


def chunk_gated_delta_product(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor,
    num_householder: int,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    cu_seqlens: Tensor | None = None,
    use_qk_l2norm_in_kernel: bool = False,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """Gated DeltaProduct, n = num_householder erase-and-write steps a token, chunkwise, for training and prefill.

    Shapes: q [B, T, H, K]; k [B, T n, H, K]; v [B, T n, HV, V]; g [B, T, HV]; beta [B, T n, HV] -> o, state.

    Siems et al., arXiv 2502.10297: S_t = prod_j (I - beta_tj k_tj^T k_tj) e^{g_t} S_{t-1} + what the steps write, the
    first step first. The steps of token t are the rows t n .. t n + n - 1 of k, v and beta. g None is DeltaProduct;
    cu_seqlens counts tokens, not steps. The rest as `chunk_gated_delta_rule`. Raises kernels.errors.KernelError.
    """
    (qs, ks, vs, gs, rates, bounds), others = _steps(q, k, v, g, beta, num_householder, cu_seqlens, options)
    o, state = chunk_gated_delta_rule(
        qs, ks, vs, gs, rates, scale, initial_state, output_final_state, use_qk_l2norm_in_kernel, bounds, **others
    )
    return o[:, num_householder - 1 :: num_householder], state


def fused_recurrent_gated_delta_product(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor,
    num_householder: int,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    cu_seqlens: Tensor | None = None,
    use_qk_l2norm_in_kernel: bool = False,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """Gated DeltaProduct token by token, for decoding: the function and the state of `chunk_gated_delta_product`.

    Shapes: q [B, T, H, K]; k [B, T n, H, K]; v [B, T n, HV, V]; g [B, T, HV]; beta [B, T n, HV] -> o, state.
    """
    (qs, ks, vs, gs, rates, bounds), others = _steps(q, k, v, g, beta, num_householder, cu_seqlens, options)
    o, state = fused_recurrent_gated_delta_rule(
        qs, ks, vs, gs, beta=rates, scale=scale, initial_state=initial_state, output_final_state=output_final_state,
        use_qk_l2norm_in_kernel=use_qk_l2norm_in_kernel, cu_seqlens=bounds, **others,
    )  # fmt: skip
    return o[:, num_householder - 1 :: num_householder], state


def _steps(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor,
    steps: int,
    cu_seqlens: Tensor | None,
    options: dict[str, object],
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None], dict[str, Any]]:
    """(q, k, v, g, beta and cu_seqlens with a row for each step, the options that are left).

    Gates that the call computes are computed here: a step without a decay has log decay 0, which no raw number gives.
    """
    contract.check_tensors(q=q, k=k, v=v, beta=beta)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise BadOption("num_householder", steps, "a number of steps, at least 1")
    if q.dim() != 4:
        raise BadShape("q", tuple(q.shape), "[batch, time, heads, head size]")
    time = q.shape[1] * steps
    for name, tensor, axes in (("k", k, 4), ("v", v, 4), ("beta", beta, 3)):
        if tensor.dim() != axes or tensor.shape[1] != time:
            raise BadShape(name, tuple(tensor.shape), f"of {time} rows in time, {steps} for each of q's tokens")
    contract.check_gate("g", g, (*q.shape[:2], v.shape[2]), q)
    decay, rates, others = apply_gates(g, beta, options)
    decay = None if decay is None else _spread(decay, steps, first=True)
    bounds = None if cu_seqlens is None else cu_seqlens * steps
    return (_spread(q, steps, first=False), k, v, decay, rates, bounds), others


def _spread(x: Tensor, steps: int, *, first: bool) -> Tensor:
    """[B, T, ...] -> [B, T * steps, ...]: x at the first or the last step of each token, zeros at the others."""
    if steps == 1:
        return x
    zeros = x.new_zeros(*x.shape[:2], steps - 1, *x.shape[2:])
    return torch.cat((x.unsqueeze(2), zeros) if first else (zeros, x.unsqueeze(2)), 2).flatten(1, 2)
