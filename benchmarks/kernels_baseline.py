"""The gated delta rule in chunks of 64 as one writes it in plain PyTorch, gradients from autograd: what ours must beat.

Per chunk, S the state before it: (I + M) X = I with M = strict(beta K K^T . L); U = X beta V; W = X beta e^gamma K;
R = U - W S; O = s e^gamma Q S + (s Q K^T . L) R; S' = e^{gamma_C} S + (e^{gamma_C - gamma} K)^T R. The inverse
either by substitution row by row, or by the library's triangular solve.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 64


def chunk_form(q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, *, by_rows: bool = True) -> Tensor:
    """q, k [B, T, H, K], v [B, T, H, V], g, beta [B, T, H], T a multiple of 64 -> o [B, T, H, V]."""
    batch, time, heads, width = q.shape
    cut = (batch, time // CHUNK, CHUNK, heads)
    q, k, v = (x.reshape(*cut, -1).permute(0, 3, 1, 2, 4) for x in (q, k, v))  # [B, H, N, C, D]
    g, beta = (x.reshape(cut).permute(0, 3, 1, 2) for x in (g, beta))
    q = q * width**-0.5
    gamma = g.cumsum(-1)
    lower = torch.ones(CHUNK, CHUNK, dtype=torch.bool, device=q.device).tril()
    between = (gamma.unsqueeze(-1) - gamma.unsqueeze(-2)).masked_fill(~lower, -torch.inf).exp()
    written = k * beta.unsqueeze(-1)
    m = (written @ k.mT * between).tril(-1)
    x = inverse_by_rows(m) if by_rows else inverse_by_solve(m)
    u = x @ (v * beta.unsqueeze(-1))
    w = x @ (written * gamma.exp().unsqueeze(-1))
    a = q @ k.mT * between
    state = q.new_zeros(batch, heads, width, v.shape[-1])
    outputs = []
    for i in range(q.shape[2]):
        r = u[:, :, i] - w[:, :, i] @ state
        rise, last = gamma[:, :, i, :, None], gamma[:, :, i, -1, None, None]
        outputs.append((q[:, :, i] * rise.exp()) @ state + a[:, :, i] @ r)
        state = state * last.exp() + (k[:, :, i] * (last - rise).exp()).mT @ r
    return torch.stack(outputs, 2).permute(0, 2, 3, 1, 4).reshape(batch, time, heads, -1)


def inverse_by_rows(m: Tensor) -> Tensor:
    """(I + m)^-1 of m [..., C, C], strictly lower: x_i = -m_i - sum_j m_ij x_j, a row after the other."""
    rows = [torch.zeros_like(m[..., 0, :])]
    for i in range(1, m.shape[-1]):
        above = torch.stack(rows, -2)
        row = -m[..., i, :] - (m[..., i, :i].unsqueeze(-1) * above).sum(-2)
        rows.append(row)
    return torch.stack(rows, -2) + torch.eye(m.shape[-1], dtype=m.dtype, device=m.device)


def inverse_by_solve(m: Tensor) -> Tensor:
    """The same by the library's triangular solve."""
    eye = torch.eye(m.shape[-1], dtype=m.dtype, device=m.device)
    return torch.linalg.solve_triangular(eye + m, eye.expand_as(m), upper=False, unitriangular=True)
