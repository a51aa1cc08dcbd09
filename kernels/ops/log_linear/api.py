"""Log-linear attention, over every recurrence of the scalar and vector families: `log_linear_attention`."""

from __future__ import annotations

import torch
from torch import Tensor

from move37.kernels import contract
from move37.kernels.dispatch import choose
from move37.kernels.errors import BadShape
from move37.kernels.ops.log_linear import chunked, naive
from move37.kernels.ops.scalar_decay.api import chunk_gated_delta_rule, chunk_simple_gla
from move37.kernels.ops.vector_decay.api import chunk_gla, chunk_kda


def log_linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    level_scales: Tensor,
    g: Tensor | None = None,
    beta: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Log-linear attention: each bucket of a Fenwick tree over the past has a state, read with a weight of its own.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; level_scales [B, T, HV, L > bit_length(T - 1)]; g, beta [B, T, HV] ->
    o like v.

    Guo et al., arXiv 2506.04761: o_t = scale * sum_l level_scales_t^l q_t S_t^l. Level 0 is the token itself, level l
    the bucket of 2^(l-1) tokens that a Fenwick tree has there; T tokens have 1 + bit_length(T - 1) levels, more are
    not read. g may be [B, T, HV, K], too. g None is no decay, beta None no erase term: linear attention, RetNet,
    Mamba-2, GLA, DeltaNet, Gated DeltaNet, KDA, which equal weights give. Time T log T. K is at most 192. No packed
    sequences, no state to go on from. Raises kernels.errors.KernelError.
    """
    contract.check_tensors(q=q, k=k, v=v, level_scales=level_scales)
    q, k, v = contract.under_autocast(q, k, v)
    _check(q, k, v, level_scales, g, beta)
    scale = contract.scale_of(q, scale)
    if choose(q.device) == "reference":
        return naive.log_linear(q, k, v, level_scales, g, beta, scale)

    def run(
        q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, beta: Tensor | None, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        if g is not None and g.dim() == 4:
            given = (scale, state, True)
            o, last = chunk_gla(q, k, v, g, *given) if beta is None else chunk_kda(q, k, v, g, beta, *given)
        elif beta is None:
            o, last = chunk_simple_gla(q, k, v, g, None, scale, state, True)
        else:
            o, last = chunk_gated_delta_rule(q, k, v, g, beta, scale, state, True)
        assert last is not None
        return o, last

    with torch.autocast(q.device.type, enabled=False):
        return chunked.log_linear(run, q, k, v, level_scales, g, beta)


def _check(q: Tensor, k: Tensor, v: Tensor, level_scales: Tensor, g: Tensor | None, beta: Tensor | None) -> None:
    contract.check_heads(q, k, v)
    batch, time, heads, _ = v.shape
    widest = contract.MAX_HEAD_SIZE - chunked.chunk_size(contract.MAX_HEAD_SIZE)
    if q.shape[-1] > widest:
        raise BadShape("q", tuple(q.shape), f"of head size 1..{widest}")
    levels = 1 + (time - 1).bit_length()
    if level_scales.dim() != 4 or level_scales.shape[-1] < levels:
        wanted = f"[{batch}, {time}, {heads}, {levels} levels or more]"
        raise BadShape("level_scales", tuple(level_scales.shape), wanted)
    contract.check_gate("level_scales", level_scales, (batch, time, heads, level_scales.shape[-1]), q)
    vector = isinstance(g, Tensor) and g.dim() == 4
    contract.check_gate("g", g, (batch, time, heads, q.shape[-1]) if vector else (batch, time, heads), q)
    contract.check_gate("beta", beta, (batch, time, heads), q)
