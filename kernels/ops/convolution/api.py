"""The short causal convolution: `causal_conv1d`. Arguments are checked here and the implementation chosen."""

from __future__ import annotations

import torch
from torch import Tensor

from move37.kernels import contract
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

    Shapes: x [B, T, D]; weight [D, W]; bias [D]; initial_state [N, D, W] -> y [B, T, D], state [N, D, W] or None.

    A state is the last W inputs, newest last (the oldest is not read). activation None, "silu" or "swish"; cu_seqlens
    [N + 1] packs N sequences into a batch of one (else N = B). `residual` is refused. Raises errors.KernelError.
    """
    contract.check_options({**options, "residual": residual}, backend="triton")
    if activation not in (None, "silu", "swish"):
        raise BadOption("activation", activation, "None, 'silu' or 'swish'")
    _check(x, weight, bias, initial_state, cu_seqlens)
    if cu_seqlens is None:
        y = _convolve(x, weight, bias, initial_state, activation is not None)
        return y, _last_inputs(x, initial_state, weight.shape[1]) if output_final_state else None
    if not cu_seqlens.is_cuda and not torch.compiler.is_compiling():
        contract.read_bounds(cu_seqlens, x.shape[1])
    cu_seqlens = cu_seqlens.to(x.device)
    rows, place = _with_past(x, initial_state, cu_seqlens, weight.shape[1])
    y = _convolve(rows, weight, bias, None, activation is not None).index_select(1, place)
    return y, _last_rows(rows, cu_seqlens, weight.shape[1]) if output_final_state else None


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None, silu: bool) -> Tensor:
    name = choose(x.device)
    if name == "reference":
        return naive.causal_conv1d(x, weight, bias, state, silu)[0]
    past = None if state is None else state[..., 1:].transpose(1, 2)
    if name == "triton":
        # Here, and not above: importing Triton takes a second, and only a GPU needs it.
        from move37.kernels.ops.convolution import triton

        return triton.conv(x, weight, bias, past, silu)
    return chunked.conv(x, weight, bias, past, silu)


def _with_past(x: Tensor, state: Tensor | None, cu_seqlens: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The packed row with the W inputs before it in front of each sequence, and where its tokens went.

    [1, tokens, D] -> [1, tokens + N W, D]: one long sequence in which nothing reaches from one into another, and no
    sequence is padded to the longest.
    """
    tokens, sequences = x.shape[1], cu_seqlens.shape[0] - 1
    token = torch.arange(tokens, device=x.device)
    number = torch.bucketize(token, cu_seqlens[1:].long(), right=True)
    place = token + (number + 1) * width
    rows = x.new_zeros(1, tokens + sequences * width, x.shape[2]).index_copy(1, place, x)
    if state is not None:
        first = cu_seqlens[:-1].long() + torch.arange(sequences, device=x.device) * width
        before = (first[:, None] + torch.arange(width, device=x.device)).flatten()
        rows = rows.index_copy(1, before, state.transpose(1, 2).flatten(0, 1).unsqueeze(0).to(x.dtype))
    return rows, place


def _last_rows(rows: Tensor, cu_seqlens: Tensor, width: int) -> Tensor:
    """The last `width` inputs of each sequence out of `_with_past`, [N, D, W]."""
    sequences = cu_seqlens.shape[0] - 1
    end = cu_seqlens[1:].long() + (torch.arange(sequences, device=rows.device) + 1) * width
    at = (end[:, None] - width + torch.arange(width, device=rows.device)).flatten()
    return rows.index_select(1, at).view(sequences, width, rows.shape[2]).transpose(1, 2)


def _last_inputs(x: Tensor, state: Tensor | None, width: int) -> Tensor:
    """The last `width` inputs of each sequence, [B, D, W], newest last; zeros before the first."""
    past = x.new_zeros(x.shape[0], x.shape[2], width) if state is None else state.to(x.dtype)
    return torch.cat((past, x[:, -width:].transpose(1, 2)), -1)[..., -width:].clone()


def _check(x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None, cu_seqlens: Tensor | None) -> None:
    contract.check_floating("x", x)
    if x.dim() != 3 or x.shape[1] < 1:
        raise BadShape("x", tuple(x.shape), "[batch, time, channels] with at least one token")
    batch, _, channels = x.shape
    contract.check_tensor("weight", weight)
    if weight.dim() != 2 or weight.shape[0] != channels or weight.shape[1] < 1:
        raise BadShape("weight", tuple(weight.shape), f"[{channels} channels, taps]")
    contract.check_gate("weight", weight, tuple(weight.shape), x)
    contract.check_gate("bias", bias, (channels,), x)
    sequences = contract.check_sequences(cu_seqlens, batch)
    contract.check_gate("initial_state", state, (sequences, channels, weight.shape[1]), x)
