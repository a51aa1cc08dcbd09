"""The scalar-decay family in chunks: linear attention, RetNet, Mamba-2, DeltaNet, Gated DeltaNet.

README.md derives every line; the symbols are the same. Per chunk of C tokens, S the state before it:

    gamma = cumsum g     L_ij = e^{gamma_i - gamma_j} (i >= j)     Qg = s e^gamma Q     Kd = e^{gamma_C - gamma} K
    M = strict(beta K K^T . L)     X = (I + M)^-1     U = X beta V     W = X beta e^gamma K     A = s Q K^T . L
    P = e^{gamma_C} I - Kd^T W     Z = Kd^T U         S' = P S + Z            <- the only sequential line
    Qe = Qg - A W                  O = Qe S + A U

Without the erase term M = W = 0 and U = V. What is stacked into one product is so because on a CPU few large products
are faster than many small ones. The backward pass keeps X and the states and recomputes the rest.
Not covered: second derivatives; vector decay (gla.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from kernels.chunked.layout import Grid
from kernels.chunked.scan import scan
from kernels.chunked.solve import unit_lower_inverse

L2NORM_EPS = 1e-6


def chunk_size(time: int) -> int:
    """C, a power of two."""
    return 16 if time <= 16 else 32 if time <= 512 else 64


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
    o, final = _ChunkDelta.apply(q, k, v, g, beta, state, scale, want_state, normalise)
    return o, final if want_state else None


@dataclass(slots=True, kw_only=True)
class _Chunk:
    """Everything that one pass needs of the inputs, per chunk; n = chunks * batch * heads."""

    k: Tensor  # [n, C, K]
    v: Tensor  # [n, C, V]
    left: Tensor  # [n, 2C, K], beta K above s Q; without the erase term [n, C, K], s Q
    beta: Tensor | None  # [n, C]
    rise: Tensor | None  # e^gamma [n, C]
    fall: Tensor | None  # e^{gamma_C - gamma} [n, C]
    whole: Tensor | None  # e^{gamma_C} [n, 1, 1]
    decay: Tensor | None  # L [n, C, C], zero above the diagonal

    @classmethod
    def of(cls, q: Tensor, k: Tensor, v: Tensor, gamma: Tensor | None, beta: Tensor | None, scale: float) -> _Chunk:
        n, size, width = k.shape
        if beta is None:
            left = q * scale
        else:
            left = q.new_empty(n, 2 * size, width)
            torch.mul(k, beta.unsqueeze(-1), out=left[:, :size])
            torch.mul(q, scale, out=left[:, size:])
        if gamma is None:
            return cls(k=k, v=v, left=left, beta=beta, rise=None, fall=None, whole=None, decay=None)
        last = gamma[:, -1:]
        return cls(
            k=k,
            v=v,
            left=left,
            beta=beta,
            rise=gamma.exp(),
            fall=(last - gamma).exp_(),
            whole=last.exp().unsqueeze(-1),
            decay=_decay(gamma),
        )

    @property
    def q(self) -> Tensor:
        """s Q [n, C, K]."""
        return self.left[:, -self.k.shape[1] :]

    def kd(self) -> Tensor:
        """Kd [n, C, K]: what is left of each key at the end of the chunk."""
        return self.k if self.fall is None else self.k * self.fall.unsqueeze(-1)

    def qg(self) -> Tensor:
        """Qg [n, C, K]: each query as the state before the chunk sees it."""
        return self.q if self.rise is None else self.q * self.rise.unsqueeze(-1)

    def masked(self, x: Tensor) -> Tensor:
        """x . L in place, for each C x C part of x [n, C or 2C, C]."""
        n, rows, size = x.shape
        parts = x.view(n, rows // size, size, size)
        if self.decay is None:
            parts.tril_()
        else:
            parts.mul_(self.decay.unsqueeze(1))
        return x

    def scores(self) -> Tensor:
        """M above A, [n, 2C, C] (M's diagonal is not cleared); without the erase term A alone."""
        return self.masked(torch.bmm(self.left, self.k.mT))

    def written(self, *, keys: bool) -> Tensor:
        """[beta V | beta e^gamma K], [n, C, V + K], or beta V alone."""
        assert self.beta is not None
        n, size, values = self.v.shape
        out = self.v.new_empty(n, size, values + (self.k.shape[2] if keys else 0))
        torch.mul(self.v, self.beta.unsqueeze(-1), out=out[..., :values])
        if keys:
            target = out[..., values:]
            if self.rise is None:
                target.copy_(self.left[:, :size])
            else:
                torch.mul(self.left[:, :size], self.rise.unsqueeze(-1), out=target)
        return out


def _decay(gamma: Tensor) -> Tensor:
    """L [n, C, C]. Masked before exp: above the diagonal the exponent is positive and may overflow."""
    size = gamma.shape[1]
    upper = torch.full((size, size), -torch.inf, dtype=gamma.dtype, device=gamma.device).triu_(1)
    return (gamma.unsqueeze(2) - gamma.unsqueeze(1)).add_(upper).exp_()


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
        dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
        grid = Grid(batch=batch, time=time, heads=heads, chunk=chunk_size(time))
        qc, kc, vc = (grid.split(x, dtype) for x in (q, k, v))
        norms = None
        if normalise:
            norms = _normalise(qc), _normalise(kc)
        gamma = None if g is None else grid.split(g, dtype).cumsum_(1)
        bc = None if beta is None else grid.split(beta, dtype)
        c = _Chunk.of(qc, kc, vc, gamma, bc, scale)
        carries = grid.chunks > 1 or state is not None or want_state
        o, x, states = _forward(c, grid, None if state is None else state.to(dtype), carries)
        ctx.save_for_backward(qc, kc, vc, gamma, bc, x, states, *(norms or (None, None)))
        ctx.grid, ctx.scale, ctx.carries = grid, scale, carries
        ctx.like = (q, k, v, g, beta, state)
        ctx.like = tuple(None if t is None else (t.dtype, t.shape) for t in ctx.like)
        ctx.set_materialize_grads(False)
        final = states[-1].view(batch, heads, *states.shape[-2:]).clone() if want_state else q.new_empty(0)
        return grid.join(o, heads, q.dtype), final

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, do: Tensor | None, dfinal: Tensor | None) -> tuple[Tensor | None, ...]:
        q, k, v, gamma, beta, x, states, q_norm, k_norm = ctx.saved_tensors
        grid, scale = ctx.grid, ctx.scale
        c = _Chunk.of(q, k, v, gamma, beta, scale)
        do_c = torch.zeros_like(v) if do is None else grid.split(do, v.dtype)
        if dfinal is not None and states is not None:
            dfinal = dfinal.to(v.dtype).reshape(states[-1].shape)
        dq, dk, dv, dgamma, dbeta, dstate = _backward(c, grid, do_c, dfinal if ctx.carries else None, x, states, scale)
        if q_norm is not None:
            dq, dk = _normalise_backward(dq, q, q_norm), _normalise_backward(dk, k, k_norm)
        dg = None if dgamma is None else dgamma.flip(1).cumsum_(1).flip(1)
        likes = ctx.like
        grads: list[Tensor | None] = []
        for grad, like in zip((dq, dk, dv, dg, dbeta), likes[:5], strict=True):
            grads.append(None if like is None or grad is None else grid.join(grad, like[1][2], like[0]))
        grads.append(None if likes[5] is None or dstate is None else dstate.view(likes[5][1]).to(likes[5][0]))
        return *grads, None, None, None


def _normalise(x: Tensor) -> Tensor:
    """x / sqrt(|x|^2 + eps) in place; returns the factor [n, C, 1]."""
    factor = x.square().sum(-1, keepdim=True).add_(L2NORM_EPS).rsqrt_()
    x.mul_(factor)
    return factor


def _normalise_backward(dy: Tensor, y: Tensor, factor: Tensor) -> Tensor:
    """The gradient of the input of `_normalise` from that of its output y, in place."""
    along = (dy * y).sum(-1, keepdim=True)
    return dy.addcmul_(y, along, value=-1).mul_(factor)


def _forward(c: _Chunk, grid: Grid, state: Tensor | None, carries: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """-> O [n, C, V], X [n, C, C] or None, the states around all chunks [chunks + 1, lanes, K, V] or None."""
    size, width, values = grid.chunk, c.k.shape[2], c.v.shape[2]
    scores = c.scores()
    x, uw = None, c.v
    if c.beta is not None:
        x = unit_lower_inverse(scores[:, :size])
        uw = torch.bmm(x, c.written(keys=carries))
    auw = torch.bmm(scores[:, -size:], uw)  # [A U | A W]
    if not carries:
        return auw, x, None
    zw = torch.bmm(c.kd().mT, uw)  # [Z | Kd^T W]
    lanes = (grid.chunks, grid.lanes)
    first = zw.new_zeros(grid.lanes, width, values) if state is None else state.reshape(grid.lanes, width, values)
    step = c.whole if c.beta is None else _transition(c, zw[..., values:])
    step = None if step is None else step.unflatten(0, lanes)
    states = scan(step, zw[..., :values].unflatten(0, lanes), first, matrix=c.beta is not None)
    qe = c.qg() if c.beta is None else c.qg() - auw[..., values:]
    return torch.baddbmm(auw[..., :values], qe, states[:-1].flatten(0, 1)), x, states


def _transition(c: _Chunk, kdw: Tensor) -> Tensor:
    """P = e^{gamma_C} I - Kd^T W, [n, K, K]."""
    p = kdw.neg()
    p.diagonal(dim1=-2, dim2=-1).add_(1 if c.whole is None else c.whole.squeeze(-1))
    return p


def _backward(
    c: _Chunk, grid: Grid, do: Tensor, dfinal: Tensor | None, x: Tensor | None, states: Tensor | None, scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """Gradients dQ, dK, dV, dgamma, dbeta in chunk layout and that of the initial state. See README.md, backward."""
    size, values = grid.chunk, c.v.shape[2]
    scores = c.scores()
    a = scores[:, -size:]
    uw = c.v if x is None else torch.bmm(x, c.written(keys=states is not None))
    dr = torch.bmm(a.mT, do)
    r, dqg, dkd, dw, dwhole, dfirst = uw[..., :values], None, None, None, None, None
    if states is not None:
        before = states[:-1].flatten(0, 1)
        kd = c.kd()
        after = _scan_backward(c, grid, kd, a, uw, do, dfinal, values)  # dS after each chunk, first chunk's input last
        dfirst = after[-1]
        dafter = after[:-1].flip(0).flatten(0, 1)
        if x is not None:
            r = torch.baddbmm(r, uw[..., values:], before, alpha=-1)
        dr = torch.baddbmm(dr, kd, dafter)
        dkd = torch.bmm(r, dafter.mT)
        dqg = torch.bmm(do, before.mT)
        dw = None if x is None else torch.bmm(dr, before.mT).neg_()
        dwhole = None if c.whole is None else (dafter * before).sum((1, 2)).mul_(c.whole.view(-1))
    dscores = torch.empty_like(scores)
    torch.bmm(do, r.mT, out=dscores[:, -size:]) if x is None else dscores[:, -size:].copy_(torch.bmm(do, r.mT))
    dv, dbeta, dbw = dr, None, None
    if x is not None:
        db = torch.bmm(x.mT, dr if dw is None else torch.cat((dr, dw), -1))  # [dBv | dBw]
        dbv, dbw = db[..., :values], db[..., values:] if dw is not None else None
        dscores[:, :size] = torch.bmm(db, uw.mT).neg_()
    c.masked(dscores)
    if x is not None:
        dscores[:, :size].tril_(-1)
        assert c.beta is not None
        dv = dbv * c.beta.unsqueeze(-1)
    by_row = torch.bmm(dscores, c.k)  # [E K above dA.L K]
    n_ = torch.bmm(dscores.mT, c.left)  # E^T beta K + (dA.L)^T s Q
    dq = by_row[:, -size:]
    if dqg is not None:
        dq = dq + (dqg if c.rise is None else dqg.mul_(c.rise.unsqueeze(-1)))
    gone = None
    if dkd is not None:
        dkd = dkd if c.fall is None else dkd.mul_(c.fall.unsqueeze(-1))
        gone = None if c.whole is None else (dkd * c.k).sum((1, 2))
        n_ += dkd
    dgamma = None if c.rise is None else (dq * c.q).sum(-1).sub_((c.k * n_).sum(-1))
    dk = n_
    if x is not None:
        h = by_row[:, :size]
        if dbw is not None:
            h = h + (dbw if c.rise is None else dbw * c.rise.unsqueeze(-1))
        kh = (c.k * h).sum(-1)
        dbeta = (dbv * c.v).sum(-1).add_(kh)
        dk = torch.addcmul(n_, h, c.beta.unsqueeze(-1))
        if dgamma is not None:
            dgamma.addcmul_(c.beta, kh)
    if dgamma is not None and gone is not None and dwhole is not None:
        dgamma[:, -1] += gone + dwhole
    return dq * scale, dk, dv, dgamma, dbeta, dfirst


def _scan_backward(
    c: _Chunk, grid: Grid, kd: Tensor, a: Tensor, uw: Tensor, do: Tensor, dfinal: Tensor | None, values: int
) -> Tensor:
    """dS = P^T dS' + Qe^T dO from the last chunk to the first: [chunks + 1, lanes, K, V], latest first."""
    lanes = (grid.chunks, grid.lanes)
    qe, step = c.qg(), c.whole
    if c.beta is not None:
        w = uw[..., values:]
        qe = torch.baddbmm(qe, a, w, alpha=-1)
        step = _transition(c, torch.bmm(kd.mT, w)).mT
    add = torch.bmm(qe.mT, do).unflatten(0, lanes).flip(0)
    step = None if step is None else step.unflatten(0, lanes).flip(0)
    first = add.new_zeros(add.shape[1:]) if dfinal is None else dfinal
    return scan(step, add, first, matrix=c.beta is not None)
