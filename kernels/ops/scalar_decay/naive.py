"""The recurrence as the papers write it, a loop over time: what every other implementation is tested against.

`delta_rule`: S_t = e^{g_t} (I - beta_t k_t^T k_t) S_{t-1} + beta_t k_t^T v_t, o_t = s q_t S_t
  DeltaNet: Yang et al., arXiv 2406.06484, eq. 2-3 (there with columns: S k and v k^T)
  Gated DeltaNet: Yang, Kautz, Hatamizadeh, arXiv 2412.06464, eq. 10
  without beta: linear attention, arXiv 2006.16236, eq. 18-20; RetNet, arXiv 2307.08621; Mamba-2, arXiv 2405.21060
Computed in float64 (`exact`), or in float32 for a step of decoding. Gradients come from autograd.
"""

from __future__ import annotations

import torch
from torch import Tensor

L2NORM_EPS = 1e-6


def delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    scale: float,
    state: Tensor | None,
    *,
    normalise: bool = False,
    exact: bool = True,
) -> tuple[Tensor, Tensor]:
    """Shapes as in contract.py, without packing -> o in q's dtype, state in float32 (float64 for float64 inputs)."""
    dtype = torch.float64 if exact or q.dtype == torch.float64 else torch.float32
    group = v.shape[2] // q.shape[2]
    qs, ks, vs = q.to(dtype), k.to(dtype), v.to(dtype)
    if normalise:
        qs, ks = (x * (x.square().sum(-1, keepdim=True) + L2NORM_EPS).rsqrt() for x in (qs, ks))
    qs, ks = (x.repeat_interleave(group, 2) if group > 1 else x for x in (qs, ks))
    decay = None if g is None else g.to(dtype).exp()
    rate = None if beta is None else beta.to(dtype)
    s = first_state(state, v, q.shape[-1], dtype)
    outputs = []
    for t in range(v.shape[1]):
        if decay is not None:
            s = s * decay[:, t, :, None, None]
        row = vs[:, t]
        if rate is not None:
            row = rate[:, t, :, None] * (row - (ks[:, t].unsqueeze(-2) @ s).squeeze(-2))
        s = s + ks[:, t].unsqueeze(-1) * row.unsqueeze(-2)
        outputs.append(((qs[:, t] * scale).unsqueeze(-2) @ s).squeeze(-2))
    return torch.stack(outputs, 1).to(q.dtype), s.to(state_dtype(q))


def first_state(state: Tensor | None, v: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    if state is not None:
        return state.to(dtype)
    return v.new_zeros(v.shape[0], v.shape[2], width, v.shape[3], dtype=dtype)


def state_dtype(q: Tensor) -> torch.dtype:
    return torch.float64 if q.dtype == torch.float64 else torch.float32
