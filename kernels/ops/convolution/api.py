"""The short causal convolution: `causal_conv1d`. Arguments are checked here and the implementation chosen."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from move37.kernels import contract
from move37.kernels.common.packing import Packed
from move37.kernels.dispatch import choose
from move37.kernels.errors import BadOption, BadShape
from move37.kernels.ops.convolution import chunked, naive


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    initial_state: Tensor | None = None,
    output_final_state: bool = False,
    activation: str | None = None,
    cu_seqlens: Tensor | None = None,
    **options: object,
) -> tuple[Tensor, Tensor | None]:
    """Depthwise causal convolution over time: y_t = act(sum_i weight[:, i] x_{t-W+1+i} + bias).

    x [B, T, D]; weight [D, W]; bias [D]; initial_state [N, D, W], the last W inputs, newest last (the oldest is not
    read); activation None, "silu" or "swish". -> y [B, T, D], and the state after the last token or None.
    `residual` is refused. Raises kernels.errors.KernelError.
    """
    contract.check_options({**options, "residual": residual}, backend="triton")
    if activation not in (None, "silu", "swish"):
        raise BadOption("activation", activation, "None, 'silu' or 'swish'")
    bounds = _check_conv(x, weight, bias, initial_state, cu_seqlens)
    silu, name = activation is not None, choose(x.device)
    sequences, packed = x, None
    if bounds is not None:
        packed = Packed(bounds, x.device)
        sequences = packed.unpack(x)
    if name == "reference":
        y, _ = naive.causal_conv1d(sequences, weight, bias, initial_state, silu)
    else:
        past = None if initial_state is None else initial_state[..., 1:].transpose(1, 2)
        if name == "triton":
            # Here, and not above: importing Triton takes a second, and only a GPU needs it.
            from move37.kernels.ops.convolution.triton import conv
        else:
            conv = chunked.conv
        y = conv(sequences, weight, bias, past, silu)
    final = _last_inputs(x, initial_state, weight.shape[1], bounds) if output_final_state else None
    return (y if packed is None else packed.pack(y)), final


def _check_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None, cu_seqlens: Tensor | None
) -> list[int] | None:
    contract.check_floating("x", x)
    if x.dim() != 3 or x.shape[1] < 1:
        raise BadShape("x", tuple(x.shape), "[batch, time, channels] with at least one token")
    batch, time, channels = x.shape
    contract.check_tensor("weight", weight)
    if weight.dim() != 2 or weight.shape[0] != channels or weight.shape[1] < 1:
        raise BadShape("weight", tuple(weight.shape), f"[{channels} channels, taps]")
    contract.check_gate("weight", weight, tuple(weight.shape), x)
    contract.check_gate("bias", bias, (channels,), x)
    bounds = contract.check_sequences(cu_seqlens, batch, time)
    sequences = batch if bounds is None else len(bounds) - 1
    contract.check_gate("initial_state", state, (sequences, channels, weight.shape[1]), x)
    return bounds


def _last_inputs(x: Tensor, state: Tensor | None, width: int, bounds: list[int] | None) -> Tensor:
    """The last `width` inputs of each sequence, [N, D, width], newest last; zeros before the first."""
    past = x.new_zeros(x.shape[0] if bounds is None else len(bounds) - 1, x.shape[2], width) if state is None else state
    past = past.to(x.dtype)
    if bounds is None:
        return torch.cat((past, x[:, -width:].transpose(1, 2)), -1)[..., -width:]
    rows = [
        torch.cat((past[n], x[0, lo:hi][-width:].t()), -1)[:, -width:] for n, (lo, hi) in enumerate(pairwise(bounds))
    ]
    return torch.stack(rows)
