"""Gated DeltaProduct (Siems et al., arXiv 2502.10297, eq. 4) as it is written, a loop over tokens and their steps."""

from __future__ import annotations

import torch
from torch import Tensor

from move37.kernels.ops.scalar_decay.naive import first_state, state_dtype


def delta_product(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, beta: Tensor, steps: int, scale: float, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """q [B, T, H, K]; k, v, beta [B, T * steps, ...]; g [B, T, HV]; state [B, HV, K, V] -> o [B, T, HV, V], state."""
    group = v.shape[2] // q.shape[2]
    qs, ks = (x.double().repeat_interleave(group, 2) for x in (q, k))
    vs, rates = v.double(), beta.double()
    s = first_state(state, v, q.shape[3], torch.float64)
    outputs = []
    for t in range(q.shape[1]):
        if g is not None:
            s = s * g[:, t].double().exp()[..., None, None]
        for j in range(t * steps, (t + 1) * steps):
            seen = (ks[:, j].unsqueeze(-2) @ s).squeeze(-2)
            row = rates[:, j, :, None] * (vs[:, j] - seen)
            s = s + ks[:, j].unsqueeze(-1) * row.unsqueeze(-2)
        outputs.append(((qs[:, t] * scale).unsqueeze(-2) @ s).squeeze(-2))
    return torch.stack(outputs, 1).to(q.dtype), s.to(state_dtype(q))
