"""The forward pass of chunked.py. Per chunk of C tokens, S the state before it (README.md derives every line):

    gamma = cumsum g     L_ij = e^{gamma_i - gamma_j} (i >= j)     Qg = s e^gamma Q     Kd = e^{gamma_C - gamma} K
    M = strict(beta K K^T . L)     X = (I + M)^-1     U = X beta V     W = X beta e^gamma K     A = s Q K^T . L
    R = U - W S          S' = e^{gamma_C} S + Kd^T R                          <- the only sequential line
    O = Qg S + A R

Without the erase term M = W = 0 and R = V. In the code W carries its minus sign, so that no product is negated. Decays
are powers of two of gamma log2 e: exp2 is five times as fast as exp on a CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from move37.kernels.common.layout import Grid
from move37.kernels.common.state_scan import by_chunk, delta_state_scan, state_scan
from move37.kernels.common.triangular import unit_lower_inverse

L2NORM_EPS = 1e-6
LOG2_E = math.log2(math.e)


@dataclass(slots=True, kw_only=True)
class Saved:
    """What a forward pass leaves for the backward pass; n = chunks * batch * heads. None: that term is not there."""

    q: Tensor  # s Q [n, C, K], normalised if asked for
    k: Tensor  # [n, C, K], normalised if asked for
    v: Tensor  # [n, C, V]
    norms: tuple[Tensor, Tensor] | None  # the factors that normalised q and k, [n, C, 1]
    beta: Tensor | None  # [n, C, 1]
    exp_gamma: Tensor | None  # e^gamma [n, C, 1]
    exp_rest: Tensor | None  # e^{gamma_C - gamma} [n, C, 1]
    chunk_decay: Tensor | None  # e^{gamma_C} [n, 1, 1]
    decay: Tensor  # L [n, C, C], or [C, C] of ones, zero above the diagonal
    a: Tensor  # A [n, C, C]
    r: Tensor  # R [n, C, V]
    x: Tensor | None = None  # X [n, C, C]
    w: Tensor | None = None  # -W [n, C, K]
    kd: Tensor | None = None  # Kd [n, C, K]; this and the rest only where there is a state
    qg: Tensor | None = None  # Qg [n, C, K]
    states: Tensor | None = None  # [chunks + 1, batch_heads, K, V]


def forward(
    grid: Grid,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    state: Tensor | None,
    scale: float,
    want_state: bool,
    normalise: bool,
) -> tuple[Tensor, Saved]:
    """-> O [n, C, V] and what the backward pass needs. `state` may have any shape of [B * HV, K, V] elements."""
    saved = _inputs(grid, q, k, v, g, beta, scale, normalise)
    solved = None
    if saved.beta is not None:
        m = torch.bmm(saved.k, saved.k.mT).mul_(saved.decay).mul_(saved.beta)
        saved.x = unit_lower_inverse(m)
        solved = torch.mul(saved.x, saved.beta.mT, out=m)  # X beta
        saved.r = torch.bmm(solved, saved.v)
    if grid.chunks > 1 or state is not None or want_state:
        _states(saved, grid, solved, state)
    o = torch.bmm(saved.a, saved.r)
    if saved.qg is not None and saved.states is not None:
        o.baddbmm_(saved.qg, saved.states[:-1].flatten(0, 1))
    return o, saved


def _states(saved: Saved, grid: Grid, solved: Tensor | None, state: Tensor | None) -> None:
    """Fill in what belongs to the states, and turn U into R."""
    batch_heads = grid.batch_heads
    saved.kd = saved.k if saved.exp_rest is None else saved.k * saved.exp_rest
    saved.qg = saved.q if saved.exp_gamma is None else saved.q * saved.exp_gamma
    shape = (batch_heads, saved.k.shape[2], saved.v.shape[2])
    first = None if state is None else state.reshape(shape)
    chunk_decay = None if saved.chunk_decay is None else by_chunk(saved.chunk_decay, batch_heads)
    if solved is None:
        saved.states = state_scan(chunk_decay, by_chunk(torch.bmm(saved.kd.mT, saved.v), batch_heads), first)
        return
    solved = solved.neg_() if saved.exp_gamma is None else solved.mul_(saved.exp_gamma.mT.neg())
    saved.w = torch.bmm(solved, saved.k)
    rows, reads, writes = (by_chunk(x, batch_heads) for x in (saved.r, saved.w, saved.kd))
    saved.states = delta_state_scan(rows, reads, writes, chunk_decay, None, first)


def _inputs(
    grid: Grid, q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, beta: Tensor | None, scale: float, normalise: bool
) -> Saved:
    """The inputs in chunk layout, their decays, and A; R is V until it is solved for."""
    dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
    qc, kc, vc = grid.split(q, dtype), grid.split(k, dtype), grid.split(v, dtype)
    norms = None
    if normalise:
        norms = _normalise(qc, scale), _normalise(kc, 1.0)
    else:
        qc.mul_(scale)
    exp_gamma, exp_rest, chunk_decay = None, None, None
    lower = torch.ones(grid.chunk, grid.chunk, dtype=dtype, device=q.device).tril_()
    decay = lower
    if g is not None:
        gamma = torch.mm(grid.split(g, dtype), lower.mT * LOG2_E)  # the cumulative sum
        last = gamma[:, -1:]
        exp_gamma, exp_rest, chunk_decay = (
            x.unsqueeze(-1) for x in (gamma.exp2(), (last - gamma).exp2_(), last.exp2())
        )
        # Masked before the power: above the diagonal the exponent is positive and may overflow.
        upper = torch.full_like(lower, -torch.inf).triu_(1)
        decay = (gamma.unsqueeze(2) - gamma.unsqueeze(1)).add_(upper).exp2_()
    a = torch.bmm(qc, kc.mT).mul_(decay)
    bc = None if beta is None else grid.split(beta, dtype).unsqueeze(-1)
    return Saved(
        q=qc,
        k=kc,
        v=vc,
        norms=norms,
        beta=bc,
        exp_gamma=exp_gamma,
        exp_rest=exp_rest,
        chunk_decay=chunk_decay,
        decay=decay,
        a=a,
        r=vc,
    )


def _normalise(x: Tensor, scale: float) -> Tensor:
    """scale x / sqrt(|x|^2 + eps) in place; returns the factor without scale, [n, C, 1]."""
    factor = dot(x, x).add_(L2NORM_EPS).rsqrt_().unsqueeze(-1)
    x.mul_(factor if scale == 1 else factor * scale)
    return factor


def dot(x: Tensor, y: Tensor) -> Tensor:
    """Inner products over the last axis; a product with ones is faster than a sum over a short axis."""
    return torch.mv((x * y).flatten(0, -2), x.new_ones(x.shape[-1])).view(x.shape[:-1])
