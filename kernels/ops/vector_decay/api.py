"""A decay for every key coordinate: gated linear attention, and with the erase term Kimi Delta Attention.

`chunk_*` is for training and prefill, `fused_recurrent_*` for decoding a few tokens. Shapes are in contract.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from move37.kernels import contract
from move37.kernels.common.gates import apply_gates
from move37.kernels.common.operator import without_autocast
from move37.kernels.common.packing import one_by_one
from move37.kernels.dispatch import choose
from move37.kernels.errors import BadOption
from move37.kernels.ops.norms.api import l2norm
from move37.kernels.ops.vector_decay import chunked, naive


def chunk_gla(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """GLA, a decay for every key coordinate, chunkwise: S_t = diag(e^{g_t}) S_{t-1} + k_t^T v_t, o_t = scale q_t S_t.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; g [B, T, HV, K]; state [N, HV, K, V] -> o like v, state or None.

    Yang et al., arXiv 2312.06635, eq. 3 and section 4. g is the log decay, <= 0; the rest as `chunk_gated_delta_rule`.
    Raises kernels.errors.KernelError.
    """
    given = (q, k, v, g, None, scale, initial_state, output_final_state, cu_seqlens)
    return _run(*given, options, recurrent=False)


def chunk_kda(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """KDA, chunkwise: S_t = (I - beta_t k_t^T k_t) diag(e^{g_t}) S_{t-1} + beta_t k_t^T v_t, o_t = scale q_t S_t.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; g [B, T, HV, K]; beta [B, T, HV]; state [N, HV, K, V] -> o, state.

    Kimi Delta Attention (Kimi Linear, arXiv 2510.26692): the delta rule with a log decay for every key coordinate. The
    rest as `chunk_gated_delta_rule`, gates included. Raises kernels.errors.KernelError.
    """
    contract.check_tensor("beta", beta)
    q, k = _normalised(q, k, use_qk_l2norm_in_kernel)
    given = (q, k, v, g, beta, scale, initial_state, output_final_state, cu_seqlens)
    return _run(*given, options, recurrent=False)


def fused_recurrent_gla(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    gk: Tensor | None = None,
    gv: Tensor | None = None,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    reverse: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """GLA token by token, for decoding: the function and the state of `chunk_gla`, whose g is `gk` here.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; gk [B, T, HV, K]; state [N, HV, K, V] -> o like v, state or None.

    `gv` and `reverse` are refused.
    """
    if gk is None:
        raise BadOption("gk", gk, "the log decay [batch, time, value heads, key size]")
    options = {**options, "gv": gv, "reverse": reverse}
    given = (q, k, v, gk, None, scale, initial_state, output_final_state, cu_seqlens)
    return _run(*given, options, recurrent=True, gate="gk")


def fused_recurrent_kda(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor,
    A_log: Tensor | None = None,
    dt_bias: Tensor | None = None,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    use_qk_l2norm_in_kernel: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """KDA token by token, for decoding: the function and the state of `chunk_kda`.

    Shapes: q, k [B, T, H, K]; v [B, T, HV, V]; g [B, T, HV, K]; beta [B, T, HV]; state [N, HV, K, V] -> o, state.
    """
    contract.check_tensor("beta", beta)
    q, k = _normalised(q, k, use_qk_l2norm_in_kernel)
    options = {**options, "A_log": A_log, "dt_bias": dt_bias}
    given = (q, k, v, g, beta, scale, initial_state, output_final_state, cu_seqlens)
    return _run(*given, options, recurrent=True)


def _normalised(q: Tensor, k: Tensor, wanted: bool) -> tuple[Tensor, Tensor]:
    if not wanted:
        return q, k
    contract.check_floating("q", q)
    contract.check_floating("k", k)
    return l2norm(q), l2norm(k)


def _run(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor | None,
    beta: Tensor | None,
    scale: float | None,
    state: Tensor | None,
    want_state: bool,
    cu_seqlens: Tensor | None,
    options: Mapping[str, object],
    *,
    recurrent: bool,
    gate: str = "g",
) -> tuple[Tensor, Tensor | None]:
    """`gate`: the decay's name, in the caller's words."""
    g, beta, others = apply_gates(g, beta, dict(options))
    contract.check_options(others)
    contract.check_tensors(**{"q": q, "k": k, "v": v, gate: g})
    assert g is not None
    q, k, v = contract.under_autocast(q, k, v)
    _check(q, k, v, g, beta, state, cu_seqlens, gate)
    scale = contract.scale_of(q, scale)
    name = choose(q.device)
    if name == "triton":
        # Here, and not above: importing Triton takes a second, and only a GPU needs it.
        from move37.kernels.ops.vector_decay.triton import vector

        return vector(q, k, v, g, beta, scale, state, cu_seqlens, want_state=want_state, recurrent=recurrent)
    if name == "reference" or recurrent:
        with without_autocast((q,)):
            return _naive(q, k, v, g, beta, scale, state, cu_seqlens, want_state=want_state, exact=not recurrent)
    return chunked.chunk_vector(q, k, v, g, beta, scale, state, cu_seqlens, want_state=want_state)


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor | None,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    gate: str,
) -> None:
    contract.check_heads(q, k, v)
    batch, time, heads, values = v.shape
    contract.check_gate(gate, g, (batch, time, heads, q.shape[-1]), q)
    contract.check_gate("beta", beta, (batch, time, heads), q)
    sequences = contract.check_sequences(cu_seqlens, batch)
    contract.check_gate("initial_state", state, (sequences, heads, q.shape[-1], values), q)


def _naive(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    beta: Tensor | None,
    scale: float,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    *,
    want_state: bool,
    exact: bool,
) -> tuple[Tensor, Tensor | None]:
    def recurrence(
        q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, beta: Tensor | None, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        assert g is not None
        return naive.vector_decay(q, k, v, g, beta, scale, state, exact=exact)

    if cu_seqlens is None:
        o, last = recurrence(q, k, v, g, beta, state)
    else:
        o, last = one_by_one(recurrence, contract.read_bounds(cu_seqlens, v.shape[1]), (q, k, v, g, beta), state)
    return o, last if want_state else None
