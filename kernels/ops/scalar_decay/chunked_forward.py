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
from move37.kernels.common.lengths import inverse_length
from move37.kernels.common.operator import accumulation_dtype
from move37.kernels.common.state_scan import delta_state_scan, state_scan
from move37.kernels.common.triangular import unit_lower_inverse

L2NORM_EPS = 1e-6
LOG2_E = math.log2(math.e)


@dataclass(slots=True, kw_only=True)
class Saved:
    """What a forward pass leaves for the backward pass; n = chunks * heads. None: that term is not there."""

    q: Tensor  # s Q [n, C, K], normalised if asked for
    k: Tensor  # [n, C, K], normalised if asked for
    v: Tensor  # [n, C, V]
    norms: tuple[Tensor, Tensor] | None  # the factors that normalised q and k, [n, C, 1]
    beta: Tensor | None  # [n, C, 1]
    gamma: Tensor | None  # in powers of two, [n, C]
    decay: Tensor  # L [n, C, C], or [C, C] of ones, zero above the diagonal
    a: Tensor  # A [n, C, C]
    r: Tensor  # R [n, C, V]
    x: Tensor | None = None  # X [n, C, C]
    w: Tensor | None = None  # -W [n, C, K]; this and the rest only where there is a state
    states: Tensor | None = None  # S before each chunk [n, K, V]
    last: Tensor | None = None  # S after the last chunk of each recurrence [N * HV, K, V]

    def tensors(self) -> tuple[Tensor, ...]:
        """What has to be kept, in the order in which `rebuild` reads it."""
        erase = self.x is not None
        found = (self.q, self.k, self.v, self.a, *(self.norms or ()), self.beta, self.gamma)
        found += (
            self.decay if self.gamma is not None else None,
            self.x,
            self.r if erase else None,
            self.w,
            self.states,
        )
        return tuple(x for x in found if x is not None)


def rebuild(kept: tuple[Tensor, ...], *, decays: bool, erases: bool, stateful: bool, normalised: bool) -> Saved:
    """The opposite of `Saved.tensors`."""
    left = iter(kept)
    q, k, v, a = next(left), next(left), next(left), next(left)
    norms = (next(left), next(left)) if normalised else None
    beta = next(left) if erases else None
    gamma = next(left) if decays else None
    decay = next(left) if decays else torch.ones_like(a[0]).tril_()
    x, r = (next(left), next(left)) if erases else (None, v)
    w = next(left) if erases and stateful else None
    states = next(left) if stateful else None
    return Saved(
        q=q, k=k, v=v, norms=norms, beta=beta, gamma=gamma, decay=decay, a=a, r=r, x=x, w=w, states=states
    )  # fmt: skip


def forward(
    grid: Grid,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    state: Tensor | None,
    scale: float,
    stateful: bool,
    normalise: bool,
) -> tuple[Tensor, Saved]:
    """-> O [n, C, V] and what the backward pass needs. state [N * HV, K, V], in the order of `grid`."""
    saved = _inputs(grid, q, k, v, g, beta, scale, normalise)
    solved = None
    if saved.beta is not None:
        m = torch.bmm(saved.k, saved.k.mT).mul_(saved.decay).mul_(saved.beta)
        saved.x = unit_lower_inverse(m)
        solved = torch.mul(saved.x, saved.beta.mT, out=m)  # X beta
        saved.r = torch.bmm(solved, saved.v)
    exp_gamma, exp_rest, chunk_decay = powers(saved.gamma)
    if stateful:
        kd = saved.k if exp_rest is None else saved.k * exp_rest
        _scan_states(saved, grid, solved, kd, exp_gamma, chunk_decay, state)
    o = torch.bmm(saved.a, saved.r)
    if saved.states is not None:
        o.baddbmm_(saved.q if exp_gamma is None else saved.q * exp_gamma, saved.states)
    return o, saved


def powers(gamma: Tensor | None) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """e^gamma [n, C, 1], e^{gamma_C - gamma} [n, C, 1] and e^{gamma_C} [n, 1, 1]."""
    if gamma is None:
        return None, None, None
    last = gamma[:, -1:]
    return gamma.exp2().unsqueeze(-1), (last - gamma).exp2_().unsqueeze(-1), last.exp2().unsqueeze(-1)


def _scan_states(
    saved: Saved,
    grid: Grid,
    solved: Tensor | None,
    kd: Tensor,
    exp_gamma: Tensor | None,
    chunk_decay: Tensor | None,
    state: Tensor | None,
) -> None:
    """Fill in what belongs to the states, and turn U into R."""
    sizes, ends = grid.sizes, grid.batch_heads
    if solved is None:
        saved.states, saved.last = state_scan(chunk_decay, torch.bmm(kd.mT, saved.v), state, sizes, ends)
        return
    solved = solved.neg_() if exp_gamma is None else solved.mul_(exp_gamma.mT.neg())
    saved.w = torch.bmm(solved, saved.k)
    saved.states, saved.last = delta_state_scan(saved.r, saved.w, kd, chunk_decay, None, state, sizes, ends)


def _inputs(
    grid: Grid, q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, beta: Tensor | None, scale: float, normalise: bool
) -> Saved:
    """The inputs in chunk layout, their decays, and A; R is V until it is solved for."""
    dtype = accumulation_dtype(q)
    qc, kc, vc = grid.split(q, dtype), grid.split(k, dtype), grid.split(v, dtype)
    norms = None
    if normalise:
        norms = _normalise(qc, scale), _normalise(kc, 1.0)
    else:
        qc.mul_(scale)
    lower = torch.ones(grid.chunk, grid.chunk, dtype=dtype, device=q.device).tril_()
    gamma, decay = None, lower
    if g is not None:
        # The cumulative sum, of logarithms that end where their power is zero: -inf - -inf would be no number.
        gamma = torch.mm(grid.split(g, dtype).clamp_(min=smallest_log(dtype)), lower.mT * LOG2_E)
        # Masked before the power: above the diagonal the exponent is positive and may overflow.
        upper = torch.full_like(lower, -torch.inf).triu_(1)
        decay = (gamma.unsqueeze(2) - gamma.unsqueeze(1)).add_(upper).exp2_()
    a = torch.bmm(qc, kc.mT).mul_(decay)
    bc = None if beta is None else grid.split(beta, dtype).unsqueeze(-1)
    return Saved(q=qc, k=kc, v=vc, norms=norms, beta=bc, gamma=gamma, decay=decay, a=a, r=vc)


def smallest_log(dtype: torch.dtype) -> float:
    """The logarithm from which on the power is zero in `dtype`."""
    return -746.0 if dtype == torch.float64 else -104.0


def _normalise(x: Tensor, scale: float) -> Tensor:
    """scale x / sqrt(|x|^2 + eps) in place; returns the factor without scale, [n, C, 1]."""
    factor = inverse_length(dot(x, x), x, L2NORM_EPS).unsqueeze(-1)
    x.mul_(factor if scale == 1 else factor * scale)
    return factor


def dot(x: Tensor, y: Tensor) -> Tensor:
    """Inner products over the last axis; a product with ones is faster than a sum over a short axis."""
    return torch.mv((x * y).flatten(0, -2), x.new_ones(x.shape[-1])).view(x.shape[:-1])
