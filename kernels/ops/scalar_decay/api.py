"""The scalar-decay family: DeltaNet, Gated DeltaNet, and, without the erase term, linear attention, RetNet, Mamba-2.

`chunk_*` is for training and prefill, `fused_recurrent_*` for decoding a few tokens; both compute the same function and
hand each other their states. Shapes: contract.py; errors: errors.py; mathematics: README.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from move37.kernels import contract
from move37.kernels.common.gates import apply_gates
from move37.kernels.common.operator import without_autocast
from move37.kernels.common.packing import one_by_one
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
    """Gated DeltaNet, chunkwise: S_t = e^{g_t} (I - beta_t k_t^T k_t) S_{t-1} + beta_t k_t^T v_t, o_t = scale q_t S_t.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; g, beta [B, T, HV]; state [N, HV, K, V] -> o like v, state or None.

    Yang, Kautz, Hatamizadeh, arXiv 2412.06464, eq. 10. g is the log decay, None for none, -inf for a hard reset; beta
    None for 1, up to 2 for negative eigenvalues; scale, default K^-1/2; cu_seqlens [N + 1] packs N sequences into a
    batch of one (else N = B). o comes in q's dtype, the state in float32 (float64 as q). Keys are used as given:
    beta * |k|^2 must stay <= 2 or the state grows; `use_qk_l2norm_in_kernel` normalises them. Gates: common/gates.py.
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
    """DeltaNet, chunkwise: S_t = (I - beta_t k_t^T k_t) S_{t-1} + beta_t k_t^T v_t, o_t = scale q_t S_t.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; beta [B, T, HV]; state [N, HV, K, V] -> o like v, state or None.

    Yang et al., arXiv 2406.06484. `chunk_gated_delta_rule` without decay.
    """
    rate, normalise = _rate(v, beta), use_qk_l2norm_in_kernel
    call = Call(q, k, v, None, rate, scale, initial_state, output_final_state, normalise, cu_seqlens)
    return _run(call, options)


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
    """Linear attention with a scalar decay, chunkwise: S_t = e^{g_t} S_{t-1} + k_t^T v_t, o_t = scale q_t S_t.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; g [B, T, HV] or g_gamma [HV]; state [N, HV, K, V] -> o like v, state.

    g: Mamba-2's SSD (Dao, Gu, arXiv 2405.21060; v scaled by dt, g = -exp(A) dt). g_gamma: a constant log decay per
    head, RetNet (Sun et al., arXiv 2307.08621; log(1 - 2^{-5-h})). Neither: linear attention (Katharopoulos et al.,
    arXiv 2006.16236, eq. 18-20, without the normaliser). Rest as `chunk_gated_delta_rule`.
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
    """Gated DeltaNet token by token, for decoding: the function and the state of `chunk_gated_delta_rule`.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; g, beta [B, T, HV]; state [N, HV, K, V] -> o like v, state or None.

    `gk` and `gv` are refused.
    """
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
    """DeltaNet token by token, for decoding: the function and the state of `chunk_delta_rule`.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; beta [B, T, HV]; state [N, HV, K, V] -> o like v, state or None.
    """
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
    """Linear attention with a scalar decay, token by token, for decoding: as `chunk_simple_gla`.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; g [B, T, HV] or g_gamma [HV]; state [N, HV, K, V] -> o like v, state.
    """
    g = _constant_decay(v, g, g_gamma)
    call = Call(q, k, v, g, None, scale, initial_state, output_final_state, False, cu_seqlens)
    return _run(call, options, recurrent=True)


def _rate(v: Tensor, beta: Tensor | None) -> Tensor | None:
    """beta, or ones; None only where v is about to be refused."""
    if beta is not None or not isinstance(v, Tensor) or v.dim() != 4:
        return beta
    return v.new_ones(v.shape[:-1])


def _constant_decay(v: Tensor, g: Tensor | None, g_gamma: Tensor | None) -> Tensor | None:
    """g, or g_gamma [HV] spread over batch and time."""
    if g_gamma is None:
        return g
    if g is not None:
        raise BadOption("g_gamma", "given together with g", "the only one of the two")
    contract.check_tensor("v", v)
    if v.dim() != 4:
        raise BadShape("v", tuple(v.shape), "[batch, time, value heads, value size]")
    contract.check_gate("g_gamma", g_gamma, (v.shape[2],), v)
    return g_gamma.expand(v.shape[:3])


def _run(call: Call, options: Mapping[str, object], *, recurrent: bool = False) -> tuple[Tensor, Tensor | None]:
    """Check and compute. -> o [B, T, HV, V], final state [N, HV, K, V] or None."""
    g, beta, others = apply_gates(call.g, call.beta, dict(options))
    call = call._replace(g=g, beta=beta)
    contract.check_options(others)
    contract.check_tensors(q=call.q, k=call.k, v=call.v)
    q, k, v = contract.under_autocast(call.q, call.k, call.v)
    call = call._replace(q=q, k=k, v=v)
    _check(call)
    name = choose(q.device)
    scale = contract.scale_of(q, call.scale)
    if name == "triton":
        # Here, and not above: importing Triton takes a second, and only a GPU needs it.
        from move37.kernels.ops.scalar_decay.triton import delta

        return delta(
            q, k, v, g, beta, scale, call.state, call.cu_seqlens,
            want_state=call.want_state, normalise=call.normalise, recurrent=recurrent,
        )  # fmt: skip
    if name == "reference" or recurrent:
        with without_autocast((q,)):
            return _naive(call, scale, exact=not recurrent)
    return chunked.chunk_delta(
        q, k, v, g, beta, scale, call.state, call.cu_seqlens, want_state=call.want_state, normalise=call.normalise
    )  # fmt: skip


def _naive(call: Call, scale: float, *, exact: bool) -> tuple[Tensor, Tensor | None]:
    def recurrence(
        q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, beta: Tensor | None, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        return naive.delta_rule(q, k, v, g, beta, scale, state, normalise=call.normalise, exact=exact)

    given = (call.q, call.k, call.v, call.g, call.beta)
    if call.cu_seqlens is None:
        o, last = recurrence(*given, call.state)
    else:
        o, last = one_by_one(recurrence, contract.read_bounds(call.cu_seqlens, call.v.shape[1]), given, call.state)
    return o, last if call.want_state else None


def _check(call: Call) -> None:
    contract.check_heads(call.q, call.k, call.v)
    batch, time, heads, _ = call.v.shape
    contract.check_gate("g", call.g, (batch, time, heads), call.q)
    contract.check_gate("beta", call.beta, (batch, time, heads), call.q)
    sequences = contract.check_sequences(call.cu_seqlens, batch)
    contract.check_gate("initial_state", call.state, (sequences, heads, call.q.shape[-1], call.v.shape[-1]), call.q)
