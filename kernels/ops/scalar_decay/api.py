"""The scalar-decay family: DeltaNet, Gated DeltaNet, and, without the erase term, linear attention, RetNet, Mamba-2.

`chunk_*` is for training and prefill, `fused_recurrent_*` for decoding a few tokens; both compute the same function and
hand each other their states. Shapes are in contract.py, errors in errors.py, the mathematics in README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from move37.kernels import contract
from move37.kernels.common.packing import Packed
from move37.kernels.dispatch import choose
from move37.kernels.errors import BadOption, BadShape
from move37.kernels.ops.scalar_decay import chunked, naive


class Call(NamedTuple):
    """The arguments of a public function, in its order; `beta` None means without the erase term."""

    q: Tensor
    k: Tensor
    v: Tensor
    g: Tensor | None
    beta: Tensor | None
    scale: float | None
    state: Tensor | None
    want_state: bool
    normalise: bool
    cu_seqlens: Tensor | None


def chunk_gated_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None = None,
    beta: Tensor | None = None,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """Gated DeltaNet (Yang, Kautz, Hatamizadeh, arXiv 2412.06464, eq. 10), chunkwise.

    q, k [B, T, H, K]; v [B, T, HV, V]; g [B, T, HV], log decay, None for none; beta [B, T, HV], None for 1, up to 2 for
    negative eigenvalues; scale, default K^-1/2; initial_state [N, HV, K, V]; cu_seqlens [N + 1] packs N sequences into
    a batch of one. -> o [B, T, HV, V] in q's dtype, and the state [N, HV, K, V] (float32, or float64 as q) or None.
    Keys are used as given: beta * |k|^2 must stay <= 2 or the state grows; `use_qk_l2norm_in_kernel` normalises them.
    Raises kernels.errors.KernelError.
    """
    call = Call(
        q, k, v, g, _rate(v, beta), scale, initial_state, output_final_state, use_qk_l2norm_in_kernel, cu_seqlens
    )
    return _run(call, options)


def chunk_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor | None = None,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """DeltaNet (Yang et al., arXiv 2406.06484), chunkwise: `chunk_gated_delta_rule` without decay."""
    return chunk_gated_delta_rule(
        q, k, v, None, beta, scale, initial_state, output_final_state, use_qk_l2norm_in_kernel, cu_seqlens, **options
    )


def chunk_simple_gla(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None = None,
    g_gamma: Tensor | None = None,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """Scalar decay without the erase term, chunkwise.

    g [B, T, HV]: Mamba-2's SSD (Dao, Gu, arXiv 2405.21060; v scaled by dt, g = -exp(A) dt). g_gamma [HV]: a constant
    log decay per head, RetNet (Sun et al., arXiv 2307.08621; log(1 - 2^{-5-h})). Neither: linear attention
    (Katharopoulos et al., arXiv 2006.16236, eq. 18-20, without the normaliser). Rest as
    `chunk_gated_delta_rule`.
    """
    g = _constant_decay(v, g, g_gamma)
    return _run(Call(q, k, v, g, None, scale, initial_state, output_final_state, False, cu_seqlens), options)


def fused_recurrent_gated_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None = None,
    gk: Tensor | None = None,
    gv: Tensor | None = None,
    beta: Tensor | None = None,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """Gated DeltaNet token by token, for decoding: arguments as `chunk_gated_delta_rule`; `gk`, `gv` are refused."""
    options = {**options, "gk": gk, "gv": gv}
    call = Call(
        q, k, v, g, _rate(v, beta), scale, initial_state, output_final_state, use_qk_l2norm_in_kernel, cu_seqlens
    )
    return _run(call, options, recurrent=True)


def fused_recurrent_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor | None = None,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """DeltaNet token by token, for decoding: arguments as `chunk_delta_rule`."""
    rate, normalise = _rate(v, beta), use_qk_l2norm_in_kernel
    call = Call(q, k, v, None, rate, scale, initial_state, output_final_state, normalise, cu_seqlens)
    return _run(call, options, recurrent=True)


def fused_recurrent_simple_gla(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None = None,
    g_gamma: Tensor | None = None,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """Scalar decay without the erase term, token by token: arguments as `chunk_simple_gla`."""
    g = _constant_decay(v, g, g_gamma)
    call = Call(q, k, v, g, None, scale, initial_state, output_final_state, False, cu_seqlens)
    return _run(call, options, recurrent=True)


def _rate(v: Tensor, beta: Tensor | None) -> Tensor | None:
    """beta, or ones; None only where v's shape is about to be refused."""
    if beta is not None or v.dim() != 4:
        return beta
    return v.new_ones(v.shape[:-1])


def _constant_decay(v: Tensor, g: Tensor | None, g_gamma: Tensor | None) -> Tensor | None:
    """g, or g_gamma [HV] spread over batch and time."""
    if g_gamma is None:
        return g
    if g is not None:
        raise BadOption("g_gamma", "given together with g", "the only one of the two")
    if v.dim() != 4:
        raise BadShape("v", tuple(v.shape), "[batch, time, value heads, value size]")
    contract.check_gate("g_gamma", g_gamma, (v.shape[2],), v)
    return g_gamma.expand(v.shape[:3])


def _run(call: Call, options: Mapping[str, object], *, recurrent: bool = False) -> tuple[Tensor, Tensor | None]:
    """Check and compute. -> o [B, T, HV, V], final state [N, HV, K, V] or None."""
    contract.check_options(options)
    bounds = _check(call)
    name = choose(call.q.device)
    scale = call.q.shape[-1] ** -0.5 if call.scale is None else float(call.scale)
    if name == "triton":
        # Here, and not above: importing Triton takes a second, and only a GPU needs it.
        from move37.kernels.ops.scalar_decay.triton import delta

        return delta(
            call.q, call.k, call.v, call.g, call.beta, scale, call.state, bounds,
            want_state=call.want_state, normalise=call.normalise, recurrent=recurrent,
        )  # fmt: skip
    packed = None if bounds is None else Packed(bounds, call.q.device)
    if packed is not None:
        q, k, v = (packed.unpack(x) for x in (call.q, call.k, call.v))
        g, beta = (None if x is None else packed.unpack(x) for x in (call.g, call.beta))
        call = call._replace(q=q, k=k, v=v, g=g, beta=beta)
    state: Tensor | None
    if name == "reference" or recurrent:
        o, last = naive.delta_rule(
            call.q, call.k, call.v, call.g, call.beta, scale, call.state, normalise=call.normalise, exact=not recurrent
        )
        state = last if call.want_state else None
    else:
        o, state = chunked.chunk_delta(
            call.q, call.k, call.v, call.g, call.beta, scale, call.state,
            want_state=call.want_state, normalise=call.normalise,
        )  # fmt: skip
    return (o if packed is None else packed.pack(o)), state


def _check(call: Call) -> list[int] | None:
    contract.check_heads(call.q, call.k, call.v)
    batch, time, heads, _ = call.v.shape
    contract.check_gate("g", call.g, (batch, time, heads), call.q)
    contract.check_gate("beta", call.beta, (batch, time, heads), call.q)
    bounds = contract.check_sequences(call.cu_seqlens, batch, time)
    sequences = batch if bounds is None else len(bounds) - 1
    shape = (sequences, heads, call.q.shape[-1], call.v.shape[-1])
    contract.check_gate("initial_state", call.state, shape, call.q)
    return bounds
