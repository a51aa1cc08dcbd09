"""Gated linear attention: the family with a decay for every key coordinate. Shapes in contract.py."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from move37.kernels import contract
from move37.kernels.common.packing import Packed
from move37.kernels.dispatch import choose
from move37.kernels.errors import BadOption
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
    """GLA (Yang et al., arXiv 2312.06635, eq. 3 and section 4), chunkwise.

    q, k [B, T, H, K]; v [B, T, HV, V]; g [B, T, HV, K], log decay <= 0; the rest as `chunk_gated_delta_rule`.
    -> o [B, T, HV, V] in q's dtype, and the state [N, HV, K, V] or None. Raises kernels.errors.KernelError.
    """
    return _run(q, k, v, g, scale, initial_state, output_final_state, cu_seqlens, options, recurrent=False)


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
    """GLA token by token, for decoding: `gk` is `chunk_gla`'s g; `gv` and `reverse` are refused."""
    if gk is None:
        raise BadOption("gk", gk, "the log decay [batch, time, value heads, key size]")
    options = {**options, "gv": gv, "reverse": reverse}
    return _run(q, k, v, gk, scale, initial_state, output_final_state, cu_seqlens, options, recurrent=True)


def _run(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    g: Tensor,
    scale: float | None,
    state: Tensor | None,
    want_state: bool,
    cu_seqlens: Tensor | None,
    options: Mapping[str, object],
    *,
    recurrent: bool,
) -> tuple[Tensor, Tensor | None]:
    contract.check_options(options)
    contract.check_heads(q, k, v)
    contract.check_tensor("g", g)
    batch, time, heads, values = v.shape
    contract.check_gate("g", g, (batch, time, heads, q.shape[-1]), q)
    bounds = contract.check_sequences(cu_seqlens, batch, time)
    contract.check_gate(
        "initial_state", state, (batch if bounds is None else len(bounds) - 1, heads, q.shape[-1], values), q
    )
    scale = q.shape[-1] ** -0.5 if scale is None else float(scale)
    name = choose(q.device)
    if name == "triton":
        # Here, and not above: importing Triton takes a second, and only a GPU needs it.
        from move37.kernels.ops.vector_decay.triton import gla

        return gla(q, k, v, g, scale, state, want_state, bounds, recurrent=recurrent)
    packed = None if bounds is None else Packed(bounds, q.device)
    if packed is not None:
        q, k, v, g = (packed.unpack(x) for x in (q, k, v, g))
    final: Tensor | None
    if name == "reference" or recurrent:
        o, final = naive.gated_linear_attention(q, k, v, g, scale, state, exact=not recurrent)
        final = final if want_state else None
    else:
        o, final = chunked.chunk_vector(q, k, v, g, scale, state, want_state=want_state)
    return (o if packed is None else packed.pack(o)), final
