"""A diagonal decay plus a rank-one change of the state (DPLR): RWKV-7, and delta rules that erase and write apart.

`chunk_*` is for training and prefill, `fused_recurrent_*` for decoding a few tokens. Shapes are in contract.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from move37.kernels import contract
from move37.kernels.common.operator import without_autocast
from move37.kernels.common.packing import one_by_one
from move37.kernels.dispatch import choose
from move37.kernels.errors import BadOption
from move37.kernels.ops.low_rank import chunked, naive


def chunk_dplr_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    gk: Tensor,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """DPLR, chunkwise: S_t = (diag(e^{gk_t}) + b_t^T a_t) S_{t-1} + k_t^T v_t, o_t = scale q_t S_t.

    Shapes: q, k, a, b [B, T, H, K]; v [B, T, HV, V]; gk [B, T, HV, K]; state [N, HV, K, V] -> o like v, state or None.

    gk is the log decay, <= 0; a reads the state before the decay. Stable where a = -c, b = rate * c with |c| = 1 and
    e^{gk} - rate * c^2 within [-1, 1] (RWKV-7, arXiv 2503.14456). The rest as `chunk_gated_delta_rule`.
    Raises kernels.errors.KernelError.
    """
    given = (q, k, v, a, b, gk, scale, initial_state, output_final_state, cu_seqlens)
    return _run(*given, options, recurrent=False)


def fused_recurrent_dplr_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    gk: Tensor,
    scale: float | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """DPLR token by token, for decoding: the function and the state of `chunk_dplr_delta_rule`.

    Shapes: q, k, a, b [B, T, H, K]; v [B, T, HV, V]; gk [B, T, HV, K]; state [N, HV, K, V] -> o like v, state or None.
    """
    given = (q, k, v, a, b, gk, scale, initial_state, output_final_state, cu_seqlens)
    return _run(*given, options, recurrent=True)


def chunk_rwkv7(
    r: Tensor,
    w: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    scale: float = 1.0,
    initial_state: Tensor | None = None,
    output_final_state: bool = True,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """RWKV-7's recurrence, chunkwise: `chunk_dplr_delta_rule` with r for q, the log decay w and a scale of 1.

    Shapes: r, k, a, b [B, T, H, K]; v [B, T, HV, V]; w [B, T, HV, K]; state [N, HV, K, V] -> o like v, state or None.
    """
    given = (r, k, v, a, b, w, scale, initial_state, output_final_state, cu_seqlens)
    return _run(*given, options, recurrent=False, names=("r", "w"))


def fused_recurrent_rwkv7(
    r: Tensor,
    w: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    scale: float = 1.0,
    initial_state: Tensor | None = None,
    output_final_state: bool = True,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """RWKV-7 token by token, for decoding: the function and the state of `chunk_rwkv7`.

    Shapes: r, k, a, b [B, T, H, K]; v [B, T, HV, V]; w [B, T, HV, K]; state [N, HV, K, V] -> o like v, state or None.
    """
    given = (r, k, v, a, b, w, scale, initial_state, output_final_state, cu_seqlens)
    return _run(*given, options, recurrent=True, names=("r", "w"))


def _run(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    g: Tensor,
    scale: float | None,
    state: Tensor | None,
    want_state: bool,
    cu_seqlens: Tensor | None,
    options: Mapping[str, object],
    *,
    recurrent: bool,
    names: tuple[str, str] = ("q", "gk"),
) -> tuple[Tensor, Tensor | None]:
    """`names`: of the query and the decay, in the caller's words."""
    contract.check_options(options)
    contract.check_tensors(**{names[0]: q, "k": k, "v": v, "a": a, "b": b, names[1]: g})
    q, k, v, a, b = contract.under_autocast(q, k, v, a, b)
    _check(q, k, v, a, b, g, state, cu_seqlens, names)
    scale = contract.scale_of(q, scale)
    name = choose(q.device)
    if name == "triton":
        # Here, and not above: importing Triton takes a second, and only a GPU needs it.
        from move37.kernels.ops.low_rank.triton import low_rank

        return low_rank(q, k, v, a, b, g, scale, state, cu_seqlens, want_state=want_state, recurrent=recurrent)
    if name == "reference" or recurrent:
        with without_autocast((q,)):
            o, last = _naive(q, k, v, a, b, g, scale, state, cu_seqlens, exact=not recurrent)
        return o, last if want_state else None
    return chunked.chunk_low_rank(q, k, v, a, b, g, scale, state, cu_seqlens, want_state=want_state)


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    g: Tensor,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    names: tuple[str, str],
) -> None:
    query, gate = names
    contract.check_heads(q, k, v, query=query)
    batch, time, heads, values = v.shape
    for name, tensor in (("a", a), ("b", b)):
        contract.check_gate(name, tensor, tuple(q.shape), q)
        if tensor.dtype != q.dtype:
            raise BadOption(name, tensor.dtype, f"a tensor of {q.dtype}, as {query} is")
    contract.check_gate(gate, g, (batch, time, heads, q.shape[-1]), q)
    sequences = contract.check_sequences(cu_seqlens, batch)
    contract.check_gate("initial_state", state, (sequences, heads, q.shape[-1], values), q)


def _naive(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    g: Tensor,
    scale: float,
    state: Tensor | None,
    cu_seqlens: Tensor | None,
    *,
    exact: bool,
) -> tuple[Tensor, Tensor]:
    def recurrence(
        q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, g: Tensor, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        return naive.low_rank(q, k, v, a, b, g, scale, state, exact=exact)

    over_time = (q, k, v, a, b, g)
    if cu_seqlens is None:
        return recurrence(*over_time, state)
    return one_by_one(recurrence, contract.read_bounds(cu_seqlens, v.shape[1]), over_time, state)
