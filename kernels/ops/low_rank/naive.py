"""The recurrence of a diagonal plus a rank-one matrix, a loop over time: what the chunked form is tested against.

S_t = (diag(e^{g_t}) + b_t^T a_t) S_{t-1} + k_t^T v_t, o_t = s q_t S_t
  RWKV-7, arXiv 2503.14456, section 3: a = -kappa, b = kappa * rate, kappa the normalised removal key
  KDA is the case a = -k e^g, b = beta k, and beta v written
"""

from __future__ import annotations

import torch
from torch import Tensor

from move37.kernels.ops.scalar_decay.naive import first_state, state_dtype


def low_rank(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    g: Tensor,
    scale: float,
    state: Tensor | None,
    *,
    exact: bool = True,
) -> tuple[Tensor, Tensor]:
    """q, k, a, b [B, T, H, K], v [B, T, HV, V], g [B, T, HV, K], state [B, HV, K, V] or None -> o, last state."""
    dtype = torch.float64 if exact or q.dtype == torch.float64 else torch.float32
    group = v.shape[2] // q.shape[2]
    qs, ks, reads, writes = (x.to(dtype).repeat_interleave(group, 2) for x in (q, k, a, b))
    vs, decay = v.to(dtype), g.to(dtype).exp()
    s = first_state(state, v, q.shape[-1], dtype)
    outputs = []
    for t in range(v.shape[1]):
        read = reads[:, t].unsqueeze(-2) @ s  # before the decay
        s = s * decay[:, t].unsqueeze(-1) + ks[:, t].unsqueeze(-1) * vs[:, t].unsqueeze(-2)
        s = s + writes[:, t].unsqueeze(-1) * read
        outputs.append(((qs[:, t] * scale).unsqueeze(-2) @ s).squeeze(-2))
    return torch.stack(outputs, 1).to(q.dtype), s.to(state_dtype(q))
