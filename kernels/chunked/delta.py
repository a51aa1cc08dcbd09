"""The scalar-decay family in chunks: linear attention, RetNet, Mamba-2, DeltaNet, Gated DeltaNet.

README.md derives every line; the symbols are the same. Per chunk of C tokens, S the state before it:

    gamma = cumsum g     L_ij = e^{gamma_i - gamma_j} (i >= j)     Qg = s e^gamma Q     Kd = e^{gamma_C - gamma} K
    M = strict(beta K K^T . L)     X = (I + M)^-1     U = X beta V     W = X beta e^gamma K     A = s Q K^T . L
    P = e^{gamma_C} I - Kd^T W     Z = Kd^T U         S' = P S + Z            <- the only sequential line
    Qe = Qg - A W                  O = Qe S + A U

Without the erase term M = W = 0 and U = V. In the code W carries its minus sign, so that no product is negated. Decays
are powers of two of gamma log2 e: exp2 is five times as fast as exp on a CPU.
What the forward pass computed is kept for the backward pass while it is small, and otherwise computed again.
Not covered: second derivatives; vector decay (gla.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kernels.chunked.layout import Grid
from kernels.chunked.scan import by_chunk, scan
from kernels.chunked.solve import unit_lower_inverse

L2NORM_EPS = 1e-6
LOG2_E = math.log2(math.e)
KEEP_ELEMENTS = 1 << 23  # of v: above it the forward pass is computed again


def chunk_size(time: int, width: int) -> int:
    """C, a power of two, by measurement (docs/figures/kernels.md): small heads want small chunks."""
    return 16 if width <= 32 or time <= 16 else 32 if width <= 64 else 64


def chunk_delta(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    scale: float,
    state: Tensor | None,
    *,
    want_state: bool,
    normalise: bool,
) -> tuple[Tensor, Tensor | None]:
    """The family of this module on sequences of equal length; no erase term where `beta` is None.

    q, k [B, T, H, K], v [B, T, HV, V], g, beta [B, T, HV], state [B, HV, K, V] -> o [B, T, HV, V], state or None.
    """
    o, final = _ChunkDelta.apply(q, k, v, g, beta, state, scale, want_state, normalise)  # type: ignore[no-untyped-call]
    return o, final if want_state else None


@dataclass(slots=True, kw_only=True)
class _Pass:
    """What a forward pass leaves for the backward pass; n = chunks * batch * heads. None: that term is not there."""

    q: Tensor  # s Q [n, C, K], normalised if asked for
    k: Tensor  # [n, C, K], normalised if asked for
    v: Tensor  # [n, C, V]
    norms: tuple[Tensor, Tensor] | None  # the factors that normalised q and k, [n, C, 1]
    beta: Tensor | None  # [n, C, 1]
    rise: Tensor | None  # e^gamma [n, C, 1]
    fall: Tensor | None  # e^{gamma_C - gamma} [n, C, 1]
    whole: Tensor | None  # e^{gamma_C} [n, 1, 1]
    decay: Tensor  # L [n, C, C], or [C, C] of ones, zero above the diagonal
    a: Tensor  # A [n, C, C]
    x: Tensor | None  # X [n, C, C]
    u: Tensor  # U [n, C, V]
    w: Tensor | None = None  # -W [n, C, K]
    kd: Tensor | None = None  # Kd [n, C, K]; this and the rest only where there is a state
    qe: Tensor | None = None  # Qe [n, C, K]
    p: Tensor | None = None  # P [n, K, K], without the erase term e^{gamma_C}
    states: Tensor | None = None  # [chunks + 1, lanes, K, V]


class _ChunkDelta(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        g: Tensor | None,
        beta: Tensor | None,
        state: Tensor | None,
        scale: float,
        want_state: bool,
        normalise: bool,
    ) -> tuple[Tensor, Tensor]:
        batch, time, heads, _ = v.shape
        grid = Grid(batch=batch, time=time, heads=heads, chunk=chunk_size(time, q.shape[3]))
        ctx.save_for_backward(q, k, v, g, beta, state)
        ctx.grid, ctx.options = grid, (scale, want_state, normalise)
        o, kept = _forward(grid, q, k, v, g, beta, state, *ctx.options)
        ctx.kept = kept if v.numel() <= KEEP_ELEMENTS and any(ctx.needs_input_grad) else None
        ctx.set_materialize_grads(False)
        states = kept.states
        final = q.new_empty(0) if states is None else states[-1].view(batch, heads, *states.shape[-2:])
        return grid.join(o, heads, q.dtype), final.clone() if want_state else final.new_empty(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor | None, dfinal: Tensor | None) -> tuple[Tensor | None, ...]:
        q, k, v, g, beta, state = ctx.saved_tensors
        grid: Grid = ctx.grid
        kept: _Pass | None = ctx.kept
        ctx.kept = None  # freed with this pass; a second one over a retained graph computes it again
        if kept is None:
            _, kept = _forward(grid, q, k, v, g, beta, state, *ctx.options)
        do = torch.zeros_like(kept.v) if do is None else grid.split(do, kept.v.dtype)
        if dfinal is not None:
            dfinal = dfinal.to(do.dtype).reshape(grid.lanes, *dfinal.shape[2:])
        dq, dk, dv, dg, dbeta, dstate = _backward(kept, grid, do, dfinal)
        if kept.norms is None:
            dq.mul_(ctx.options[0])
        else:
            dq = _normalise_backward(dq, kept.q, kept.norms[0], ctx.options[0])
            dk = _normalise_backward(dk, kept.k, kept.norms[1], 1.0)
        return (
            grid.join(dq, q.shape[2], q.dtype),
            grid.join(dk, k.shape[2], k.dtype),
            grid.join(dv, v.shape[2], v.dtype),
            None if g is None or dg is None else grid.join(dg, g.shape[2], g.dtype),
            None if beta is None or dbeta is None else grid.join(dbeta, beta.shape[2], beta.dtype),
            None if state is None or dstate is None else dstate.view(state.shape).to(state.dtype),
            None,
            None,
            None,
        )


def _forward(
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
) -> tuple[Tensor, _Pass]:
    """-> O [n, C, V] and what the backward pass needs."""
    here = _inputs(grid, q, k, v, g, beta, scale, normalise)
    carries = grid.chunks > 1 or state is not None or want_state
    kb, wb = here.k, None
    if here.beta is not None:
        kb = here.k * here.beta
        here.x = unit_lower_inverse(torch.bmm(kb, here.k.mT).mul_(here.decay))
        here.u = torch.bmm(here.x, here.v * here.beta)
    o = torch.bmm(here.a, here.u)
    if not carries:
        return o, here
    qg = here.q if here.rise is None else here.q * here.rise
    here.kd = here.k if here.fall is None else here.k * here.fall
    if here.x is None:
        here.qe, here.p = qg, here.whole
    else:
        wb = kb.neg() if here.rise is None else kb.mul_(here.rise).neg_()
        here.w = torch.bmm(here.x, wb)
        here.qe = torch.baddbmm(qg, here.a, here.w)
        here.p = torch.bmm(here.kd.mT, here.w)
        here.p.diagonal(dim1=-2, dim2=-1).add_(1 if here.whole is None else here.whole.squeeze(-1))
    lanes = grid.lanes
    z = by_chunk(torch.bmm(here.kd.mT, here.u), lanes)
    first = None if state is None else state.reshape(z.shape[1:])
    step = None if here.p is None else by_chunk(here.p, lanes)
    here.states = scan(step, z, first, matrix=here.x is not None)
    return o.baddbmm_(here.qe, here.states[:-1].flatten(0, 1)), here


def _inputs(
    grid: Grid, q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, beta: Tensor | None, scale: float, normalise: bool
) -> _Pass:
    """The inputs in chunk layout, their decays, and A; U is V until it is solved for."""
    dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
    qc, kc, vc = grid.split(q, dtype), grid.split(k, dtype), grid.split(v, dtype)
    norms = None
    if normalise:
        norms = _normalise(qc, scale), _normalise(kc, 1.0)
    else:
        qc.mul_(scale)
    rise, fall, whole = None, None, None
    lower = torch.ones(grid.chunk, grid.chunk, dtype=dtype, device=q.device).tril_()
    decay = lower
    if g is not None:
        gamma = torch.mm(grid.split(g, dtype), lower.mT * LOG2_E)  # the cumulative sum
        last = gamma[:, -1:]
        rise, fall, whole = (x.unsqueeze(-1) for x in (gamma.exp2(), (last - gamma).exp2_(), last.exp2()))
        # Masked before the power: above the diagonal the exponent is positive and may overflow.
        upper = torch.full_like(lower, -torch.inf).triu_(1)
        decay = (gamma.unsqueeze(2) - gamma.unsqueeze(1)).add_(upper).exp2_()
    a = torch.bmm(qc, kc.mT).mul_(decay)
    bc = None if beta is None else grid.split(beta, dtype).unsqueeze(-1)
    return _Pass(
        q=qc, k=kc, v=vc, norms=norms, beta=bc, rise=rise, fall=fall, whole=whole, decay=decay, a=a, x=None, u=vc
    )


Gradients = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]


def _backward(c: _Pass, grid: Grid, do: Tensor, dfinal: Tensor | None) -> Gradients:
    """Gradients of s Q, K, V, g, beta in chunk layout and of the initial state. See README.md, backward.

    E below carries a minus sign, as W does: it is the gradient of -M, times L.
    """
    dr = torch.bmm(c.a.mT, do)
    r, first = c.u, None
    dqg, dkd, dwhole = None, None, None
    if c.states is not None:
        assert c.qe is not None and c.kd is not None
        first, before, after = _state_gradients(c, grid, do, dfinal)
        r = c.u if c.w is None else torch.baddbmm(c.u, c.w, before)
        dr = dr.baddbmm_(c.kd, after)
        dkd, dqg = torch.bmm(r, after.mT), torch.bmm(do, before.mT)
        if c.whole is not None and c.rise is not None and c.fall is not None:
            dwhole = _dot(after.flatten(1), before.flatten(1)).mul_(c.whole.view(-1))
            dqg.mul_(c.rise)
            dkd.mul_(c.fall)
    da = torch.bmm(do, r.mT).mul_(c.decay)
    diagonal = da.diagonal(dim1=1, dim2=2).clone().unsqueeze(-1)
    da.diagonal(dim1=1, dim2=2).zero_()
    dq = torch.bmm(da, c.k) if dqg is None else dqg.baddbmm_(da, c.k)
    dk = torch.bmm(da.mT, c.q)
    dv, dbeta, h, kh = dr, None, None, None
    if c.x is not None and c.beta is not None:
        dbv, h, e = _erase_gradients(c, dr, None if c.states is None else before)
        dk.baddbmm_(e.mT, c.k * c.beta, alpha=-1)
        h = torch.bmm(e, c.k) if h is None else h.baddbmm_(e, c.k)
        kh = _dot(c.k, h)
        dbeta = _dot(dbv, c.v).sub_(kh)
        dv = dbv.mul_(c.beta)
    dg = _decay_gradient(c, dq, dk, kh, dkd, dwhole)
    dq.addcmul_(diagonal, c.k)
    dk.addcmul_(diagonal, c.q)
    if dkd is not None:
        dk.add_(dkd)
    if h is not None and c.beta is not None:
        dk.addcmul_(h, c.beta, value=-1)
    return dq, dk, dv, dg, dbeta, first


def _decay_gradient(
    c: _Pass, dq: Tensor, dk: Tensor, kh: Tensor | None, dkd: Tensor | None, dwhole: Tensor | None
) -> Tensor | None:
    """dg [n, C]: dg_t sums what flows across token t, from keys before it to queries, keys and states from it on.

    dq and dk come without the diagonal of A, which no decay touches: under strong decay it is all there is, and the
    difference of two equal sums would be nothing but rounding.
    """
    if c.rise is None:
        return None
    lower = torch.ones_like(c.a[0]).tril_()
    dgamma = _dot(dq, c.q).sub_(_dot(c.k, dk))
    if kh is not None and c.beta is not None:
        dgamma.addcmul_(c.beta.squeeze(-1), kh, value=-1)
    dg = torch.mm(dgamma, lower)
    if dkd is not None and dwhole is not None:
        dg.addmm_(_dot(dkd, c.k), lower.mT.triu(1)).add_(dwhole.unsqueeze(1))
    return dg


def _state_gradients(c: _Pass, grid: Grid, do: Tensor, dfinal: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """dS = P^T dS' + Qe^T dO -> the gradient of the first state; for each chunk S before it and dS' after it."""
    assert c.qe is not None and c.states is not None
    lanes = grid.lanes
    step = None if c.p is None else by_chunk(c.p, lanes) if c.x is None else by_chunk(c.p, lanes).mT
    later = scan(step, by_chunk(torch.bmm(c.qe.mT, do), lanes), dfinal, matrix=c.x is not None, back=True)
    return later[0], c.states[:-1].flatten(0, 1), later[1:].flatten(0, 1)


def _erase_gradients(c: _Pass, dr: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
    """Through U = X beta V and W: -> dBv [n, C, V], e^gamma dBw [n, C, K] or None, E [n, C, C]."""
    assert c.x is not None
    dbv = torch.bmm(c.x.mT, dr)
    e, h = torch.bmm(dbv, c.u.mT), None
    if before is not None and c.w is not None:
        h = torch.bmm(c.x.mT, torch.bmm(dr, before.mT))
        e.baddbmm_(h, c.w.mT)
        h = h if c.rise is None else h.mul_(c.rise)
    e.mul_(c.decay).diagonal(dim1=1, dim2=2).zero_()
    return dbv, h, e


def _dot(x: Tensor, y: Tensor) -> Tensor:
    """Inner products over the last axis; a product with ones is faster than a sum over a short axis."""
    return torch.mv((x * y).flatten(0, -2), x.new_ones(x.shape[-1])).view(x.shape[:-1])


def _normalise(x: Tensor, scale: float) -> Tensor:
    """scale x / sqrt(|x|^2 + eps) in place; returns the factor without scale, [n, C, 1]."""
    factor = _dot(x, x).add_(L2NORM_EPS).rsqrt_().unsqueeze(-1)
    x.mul_(factor if scale == 1 else factor * scale)
    return factor


def _normalise_backward(dy: Tensor, y: Tensor, factor: Tensor, scale: float) -> Tensor:
    """The gradient of the input of `_normalise` from that of its output y, in place."""
    along = _dot(dy, y).mul_(-1 / scale**2).unsqueeze(-1)
    return dy.addcmul_(y, along).mul_(factor if scale == 1 else factor * scale)
