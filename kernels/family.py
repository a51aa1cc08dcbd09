"""One call of the delta family on its way from the public function to an implementation.

Checks the contract, picks the implementation, and unpacks packed sequences where that wants a plain batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from move37.kernels import contract
from move37.kernels.dispatch import choose
from move37.kernels.packing import Packed


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


def run(call: Call, options: Mapping[str, object], *, recurrent: bool = False) -> tuple[Tensor, Tensor | None]:
    """Check and compute. -> o [B, T, HV, V], final state [N, HV, K, V] or None."""
    contract.check_options(options)
    bounds = _check(call)
    name = choose(call.q.device)
    scale = call.q.shape[-1] ** -0.5 if call.scale is None else float(call.scale)
    if name == "triton":
        from move37.kernels.triton.delta import delta

        return delta(call, scale, bounds, recurrent=recurrent)
    packed = None if bounds is None else Packed(bounds, call.q.device)
    if packed is not None:
        q, k, v = (packed.unpack(x) for x in (call.q, call.k, call.v))
        g, beta = (None if x is None else packed.unpack(x) for x in (call.g, call.beta))
        call = call._replace(q=q, k=k, v=v, g=g, beta=beta)
    state: Tensor | None
    if name == "reference" or recurrent:
        from move37.kernels.reference.recurrent import delta_rule

        o, last = delta_rule(
            call.q, call.k, call.v, call.g, call.beta, scale, call.state, normalise=call.normalise, exact=not recurrent
        )
        state = last if call.want_state else None
    else:
        from move37.kernels.chunked.delta import chunk_delta

        o, state = chunk_delta(
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
