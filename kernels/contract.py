"""The public contract, checked once at the door: shapes, dtypes, devices, packed sequences.

    q, k [B, T, H, K]   v [B, T, HV, V]   g, beta [B, T, HV]   state [N, HV, K, V]   N = B, or the packed sequences

HV is a multiple of H (value head h reads the query and key of head h // (HV / H)). Head sizes 1..256. q, k and v share
a dtype (float32, bfloat16, float16, float64); g, beta and states may be of any floating dtype and are used in float32
(float64 with float64 inputs).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor

from move37.kernels.errors import BadDevice, BadDtype, BadOption, BadSequences, BadShape

MAX_HEAD_SIZE = 256
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
HALF_OR_SINGLE = (torch.float32, torch.bfloat16, torch.float16)


def check_heads(q: Tensor, k: Tensor, v: Tensor, *, query: str = "q") -> None:
    """Raise unless q, k, v are [B, T, H, K], [B, T, H, K], [B, T, HV, V] of one dtype on one device; `query` is what
    the caller calls q."""
    for name, tensor in ((query, q), ("k", k), ("v", v)):
        check_tensor(name, tensor)
        if tensor.dim() != 4:
            raise BadShape(name, tuple(tensor.shape), "[batch, time, heads, head size]")
        if tensor.dtype not in DTYPES:
            raise BadDtype(name, tensor.dtype, "float32, bfloat16, float16 or float64")
    batch, time, heads, _ = q.shape
    if k.shape != q.shape:
        raise BadShape("k", tuple(k.shape), f"the shape of {query}, {list(q.shape)}")
    if v.shape[:2] != q.shape[:2]:
        raise BadShape("v", tuple(v.shape), f"[{batch}, {time}, value heads, value size], as {query} says")
    if heads == 0 or v.shape[2] == 0 or v.shape[2] % heads:
        raise BadShape("v", tuple(v.shape), f"[batch, time, a multiple of {query}'s {heads} heads, value size]")
    for name, tensor in ((query, q), ("v", v)):
        if not 1 <= tensor.shape[-1] <= MAX_HEAD_SIZE:
            raise BadShape(name, tuple(tensor.shape), f"of head size 1..{MAX_HEAD_SIZE}")
    for name, tensor in (("k", k), ("v", v)):
        if tensor.dtype != q.dtype:
            raise BadDtype(name, tensor.dtype, f"{q.dtype}, as {query} is")
        check_device(name, tensor, q)
    if time == 0 or batch == 0:
        raise BadShape(query, tuple(q.shape), "of at least one sequence and one token")


def check_tensors(**tensors: object) -> None:
    """Raise BadOption for the first that is no tensor."""
    for name, tensor in tensors.items():
        check_tensor(name, tensor)


def check_gate(name: str, gate: Tensor | None, wants: tuple[int, ...], like: Tensor) -> None:
    """Raise unless `gate` is None or a floating tensor of exactly this shape, beside `like`."""
    if gate is None:
        return
    check_tensor(name, gate)
    if tuple(gate.shape) != wants:
        raise BadShape(name, tuple(gate.shape), str(list(wants)))
    if not gate.is_floating_point():
        raise BadDtype(name, gate.dtype, "a floating dtype")
    check_device(name, gate, like)


def check_tensor(name: str, value: object) -> None:
    """Raise BadOption for a list, a number or None where a tensor belongs, and for a sparse or nested one."""
    if not isinstance(value, Tensor):
        raise BadOption(name, type(value).__name__, "a tensor")
    if value.is_nested or value.layout != torch.strided:
        raise BadOption(name, "nested" if value.is_nested else str(value.layout), "a plain tensor (torch.strided)")


def number(name: str, value: object) -> float:
    """A float of a number, or of a tensor that holds one. Raises BadOption."""
    if isinstance(value, (int, float)):
        return float(value)
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise BadOption(name, value, "a number") from None


def scale_of(q: Tensor, scale: object) -> float:
    """What scores are multiplied by: `scale`, or one over the root of the key size. Raises BadOption."""
    return q.shape[-1] ** -0.5 if scale is None else number("scale", scale)


def check_floating(name: str, x: Tensor) -> None:
    check_tensor(name, x)
    if x.dtype not in DTYPES:
        raise BadDtype(name, x.dtype, "float32, bfloat16, float16 or float64")
    if x.dim() < 1 or x.shape[-1] < 1:
        raise BadShape(name, tuple(x.shape), "[..., features] with at least one feature")


def check_device(name: str, tensor: Tensor, like: Tensor) -> None:
    if tensor.device != like.device:
        raise BadDevice(name, tensor.device, f"{like.device}, as the first argument is")


def check_sequences(cu_seqlens: Tensor | None, batch: int) -> int:
    """The number of sequences: the batch, or those that are packed. Raises BadSequences, BadShape or BadDtype.

    The values are not looked at: on a GPU that would be a synchronisation a call. `read_bounds` does it on a CPU.
    """
    if cu_seqlens is None:
        return batch
    check_tensor("cu_seqlens", cu_seqlens)
    if cu_seqlens.dim() != 1 or cu_seqlens.shape[0] < 2:
        raise BadShape("cu_seqlens", tuple(cu_seqlens.shape), "[N + 1] for N sequences")
    if cu_seqlens.dtype not in (torch.int32, torch.int64):
        raise BadDtype("cu_seqlens", cu_seqlens.dtype, "int32 or int64")
    if batch != 1:
        raise BadSequences(f"came with a batch of {batch}", "come with sequences packed into a batch of 1")
    return cu_seqlens.shape[0] - 1


def read_bounds(cu_seqlens: Tensor, time: int) -> list[int]:
    """The bounds of the packed sequences. Raises BadSequences.

    Empty sequences (two equal bounds) are allowed; they keep their initial state.
    """
    bounds: list[int] = cu_seqlens.tolist()
    if bounds[0] != 0 or bounds[-1] != time:
        raise BadSequences(f"runs from {bounds[0]} to {bounds[-1]}", f"run from 0 to the number of tokens, {time}")
    if any(later < earlier for earlier, later in pairwise(bounds)):
        raise BadSequences("decreases somewhere", "never decrease")
    return bounds


def under_autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors as they are; inside autocast, where their dtypes differ, in autocast's, as torch's own products."""
    kind = tensors[0].device.type
    if kind not in ("cpu", "cuda") or not torch.is_autocast_enabled(kind):
        return tensors
    if len({x.dtype for x in tensors}) == 1 or any(x.dtype not in HALF_OR_SINGLE for x in tensors):
        return tensors
    return tuple(x.to(torch.get_autocast_dtype(kind)) for x in tensors)


def check_options(options: Mapping[str, object], **anyway: object) -> None:
    """Refuse a keyword that we do not have, unless it asks for what we do anyway: nothing, or its value in `anyway`."""
    for name, value in options.items():
        if isinstance(value, Tensor):
            raise BadOption(name, f"a tensor {list(value.shape)}", "left out: this implementation does not have it")
        if not (value is None or value is False or (name in anyway and value == anyway[name])):
            raise BadOption(name, value, "left out: this implementation does not have it")
