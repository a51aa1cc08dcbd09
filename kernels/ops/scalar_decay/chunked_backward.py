"""The backward pass of chunked.py, on what chunked_forward.py kept. README.md derives it; per chunk, dS' after it:

    dR = A^T dO + Kd dS'        dS = e^{gamma_C} dS' + Qg^T dO - W^T dR        <- the forward scan, Kd and W exchanged
    dBv = X^T dR        E = -strict(dBv R^T) . L        h = -e^gamma dBv S^T + E K

In the code E and h carry their minus signs, as W does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from move37.kernels.common.layout import Grid
from move37.kernels.common.state_scan import delta_state_scan, state_scan
from move37.kernels.ops.scalar_decay.chunked_forward import Saved, dot, powers

Gradients = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]


def backward(c: Saved, grid: Grid, do: Tensor, dfinal: Tensor | None, scale: float) -> Gradients:
    """Gradients of q, k, v, g, beta in chunk layout and of the initial state [N * HV, K, V]."""
    dr = torch.bmm(c.a.mT, do)
    exp_gamma, exp_rest, chunk_decay = powers(c.gamma)
    dkd, dqg, dchunk_decay, first = None, None, None, None
    if c.states is not None:
        after, first = _state_gradients(c, grid, do, dr, dfinal, exp_gamma, exp_rest, chunk_decay)
        dkd, dqg = torch.bmm(c.r, after.mT), torch.bmm(do, c.states.mT)
        if chunk_decay is not None and exp_gamma is not None and exp_rest is not None:
            dchunk_decay = dot(after.flatten(1), c.states.flatten(1)).mul_(chunk_decay.view(-1))
            dqg.mul_(exp_gamma)
            dkd.mul_(exp_rest)
    da = torch.bmm(do, c.r.mT).mul_(c.decay)
    diagonal = da.diagonal(dim1=1, dim2=2).clone().unsqueeze(-1)
    da.diagonal(dim1=1, dim2=2).zero_()
    dq = torch.bmm(da, c.k) if dqg is None else dqg.baddbmm_(da, c.k)
    dk = torch.bmm(da.mT, c.q)
    dv, dbeta, h, kh = dr, None, None, None
    if c.x is not None and c.beta is not None:
        dbv, e, h = _erase_gradients(c, dr, exp_gamma)
        kh = dot(c.k, h)
        dbeta = dot(dbv, c.v).sub_(kh)
        dv = dbv.mul_(c.beta)
        dk.baddbmm_(e.mul_(c.beta).mT, c.k, alpha=-1)
    dg = _decay_gradient(c, dq, dk, kh, dkd, dchunk_decay)
    dq.addcmul_(diagonal, c.k)
    dk.addcmul_(diagonal, c.q)
    if dkd is not None:
        dk.add_(dkd)
    if h is not None and c.beta is not None:
        dk.addcmul_(h, c.beta, value=-1)
    if c.norms is None:
        dq.mul_(scale)
    else:
        dq = _normalise_backward(dq, c.q, c.norms[0], scale)
        dk = _normalise_backward(dk, c.k, c.norms[1], 1.0)
    return dq, dk, dv, dg, dbeta, first


def _state_gradients(
    c: Saved,
    grid: Grid,
    do: Tensor,
    dr: Tensor,
    dfinal: Tensor | None,
    exp_gamma: Tensor | None,
    exp_rest: Tensor | None,
    chunk_decay: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """dS after each chunk [n, K, V] and of the initial states; `dr` comes as A^T dO and is completed."""
    add = torch.bmm((c.q if exp_gamma is None else c.q * exp_gamma).mT, do)
    kd = c.k if exp_rest is None else c.k * exp_rest
    sizes, ends = grid.sizes, grid.batch_heads
    if c.w is not None:
        return delta_state_scan(dr, kd, c.w, chunk_decay, add, dfinal, sizes, ends, back=True)
    after, first = state_scan(chunk_decay, add, dfinal, sizes, ends, back=True)
    dr.baddbmm_(kd, after)
    return after, first


def _erase_gradients(c: Saved, dr: Tensor, exp_gamma: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Through R = X (beta V - beta e^gamma K S): -> dBv [n, C, V], -E [n, C, C], -h [n, C, K]."""
    assert c.x is not None
    dbv = torch.bmm(c.x.mT, dr)
    e = torch.bmm(dbv, c.r.mT).mul_(c.decay)
    e.diagonal(dim1=1, dim2=2).zero_()
    if c.states is None:
        return dbv, e, torch.bmm(e, c.k)
    h = torch.bmm(dbv, c.states.mT)
    h = h if exp_gamma is None else h.mul_(exp_gamma)
    return dbv, e, h.baddbmm_(e, c.k)


def _decay_gradient(
    c: Saved, dq: Tensor, dk: Tensor, kh: Tensor | None, dkd: Tensor | None, dchunk_decay: Tensor | None
) -> Tensor | None:
    """dg [n, C]: dg_t sums what flows across token t, from keys before it to queries, keys and states from it on.

    dq and dk come without the diagonal of A, which no decay touches: under strong decay it is all there is, and the
    difference of two equal sums would be nothing but rounding.
    """
    if c.gamma is None:
        return None
    lower = torch.ones_like(c.a[0]).tril_()
    dgamma = dot(dq, c.q).sub_(dot(c.k, dk))
    if kh is not None and c.beta is not None:
        dgamma.addcmul_(c.beta.squeeze(-1), kh, value=-1)
    dg = torch.mm(dgamma, lower)
    if dkd is not None and dchunk_decay is not None:
        dg.addmm_(dot(dkd, c.k), lower.mT.triu(1)).add_(dchunk_decay.unsqueeze(1))
    return dg


def _normalise_backward(dy: Tensor, y: Tensor, factor: Tensor, scale: float) -> Tensor:
    """The gradient of the input of `_normalise` from that of its output y, in place."""
    along = dot(dy, y).mul_(-1 / scale**2 if scale else 0.0).unsqueeze(-1)
    return dy.addcmul_(y, along).mul_(factor if scale == 1 else factor * scale)
