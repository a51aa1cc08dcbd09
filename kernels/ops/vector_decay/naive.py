"""The recurrence with a decay for every key coordinate, a loop over time: what the others are tested against.

S_t = (I - beta_t k_t^T k_t) diag(e^{g_t}) S_{t-1} + beta_t k_t^T v_t, o_t = s q_t S_t
  KDA: Kimi Linear, arXiv 2510.26692, eq. 1; without the erase term (beta None: S_t = diag(e^{g_t}) S_{t-1} + k_t^T v_t)
  GLA: Yang et al., arXiv 2312.06635, eq. 3
"""

from __future__ import annotations

import torch
from torch import Tensor

from move37.kernels.ops.scalar_decay.naive import first_state, state_dtype


def vector_decay(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor | None,
    scale: float,
    state: Tensor | None,
    *,
    exact: bool = True,
) -> tuple[Tensor, Tensor]:
    """g [B, T, HV, K], log decay of every key coordinate; the rest as scalar_decay's `delta_rule`."""
    dtype = torch.float64 if exact or q.dtype == torch.float64 else torch.float32
    group = v.shape[2] // q.shape[2]
    qs, ks = (x.to(dtype).repeat_interleave(group, 2) for x in (q, k))
    vs, decay = v.to(dtype), g.to(dtype).exp()
    rate = None if beta is None else beta.to(dtype)
    s = first_state(state, v, q.shape[-1], dtype)
    outputs = []
    for t in range(v.shape[1]):
        s = s * decay[:, t].unsqueeze(-1)
        row = vs[:, t]
        if rate is not None:
            row = rate[:, t, :, None] * (row - (ks[:, t].unsqueeze(-2) @ s).squeeze(-2))
        s = s + ks[:, t].unsqueeze(-1) * row.unsqueeze(-2)
        outputs.append(((qs[:, t] * scale).unsqueeze(-2) @ s).squeeze(-2))
    return torch.stack(outputs, 1).to(q.dtype), s.to(state_dtype(q))
