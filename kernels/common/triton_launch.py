"""What every Triton kernel here shares: how time is cut into chunks, how tiles are read, what is tried when tuning.

`LaunchPlan` is a table of chunks, so that packed and equal-length sequences take the same path: chunk c starts at row
`row[c]` of [rows, heads, width], has `size[c]` valid rows, and sequence n owns the chunks first[n] .. first[n + 1] - 1.
Configurations are keyed on head counts and widths, never on time or the number of sequences: tuning again for each
length costs more than it brings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from move37.kernels.errors import BadDtype

LOG2_E: tl.constexpr = tl.constexpr(1.4426950408889634)
SMALLEST_LOG: tl.constexpr = tl.constexpr(-104.0)  # from here on the power is zero in float32


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """How the rows of all sequences are cut into chunks; all tensors on the inputs' device."""

    row: Tensor  # [chunks], int64
    size: Tensor  # [chunks], int32
    first: Tensor  # [sequences + 1], int32
    chunk: int  # C

    @property
    def chunks(self) -> int:
        """Chunks of all sequences together."""
        return self.row.shape[0]

    @property
    def sequences(self) -> int:
        """N."""
        return self.first.shape[0] - 1


def refuse_float64(q: Tensor) -> None:
    """Raises BadDtype for what tensor cores have no product of."""
    if q.dtype == torch.float64:
        raise BadDtype("q", q.dtype, "float32, bfloat16 or float16 for the Triton kernels")


def chunk_size(time: int, width: int) -> int:
    """C: 64 fills the tensor cores; wider heads leave room for 32; short sequences need no more than they have."""
    largest = 32 if width > 128 else 64
    return largest if time >= largest else min(largest, block(time))


def plan(q: Tensor, v: Tensor, cu_seqlens: Tensor | None) -> LaunchPlan:
    """The plan for q [B, T, H, K] and v [B, T, HV, V], or for sequences packed between `cu_seqlens`.

    Nothing is read back from the device.

    How many chunks packed sequences have is known there only: the table has room for the most there can be, and what is
    left over has no rows.
    """
    batch, time, device = v.shape[0], v.shape[1], q.device
    chunk = chunk_size(time, q.shape[3])
    if cu_seqlens is None:
        capturing = device.type == "cuda" and torch.cuda.is_current_stream_capturing()
        # What is made during a capture belongs to that graph and must not be handed to others.
        return (_equal.__wrapped__ if capturing else _equal)(batch, time, chunk, device)
    bounds, sequences = cu_seqlens.to(device, torch.int64), cu_seqlens.shape[0] - 1
    counts = (bounds.diff() + chunk - 1) // chunk
    first = torch.cat((bounds.new_zeros(1), counts.cumsum(0)))
    index = torch.arange(time // chunk + sequences, device=device)
    sequence = torch.bucketize(index, first[1:], right=True).clamp_(max=sequences - 1)
    row = bounds[sequence] + (index - first[sequence]) * chunk
    # Clamped, so that bounds that do not fit give wrong numbers but no access outside of the tensors.
    size = (bounds[sequence + 1] - row).clamp_(0, chunk).minimum((time - row).clamp_(min=0))
    row = torch.where(size > 0, row.clamp(min=0), 0)
    return LaunchPlan(row=row, size=size.to(torch.int32), first=first.to(torch.int32), chunk=chunk)


@lru_cache(maxsize=32)
def _equal(batch: int, time: int, chunk: int, device: torch.device) -> LaunchPlan:
    each = -(-time // chunk)
    index = torch.arange(batch * each, device=device)
    start = index % each * chunk
    return LaunchPlan(
        row=index // each * time + start,
        size=(time - start).clamp_(max=chunk).to(torch.int32),
        first=torch.arange(0, batch * each + 1, each, device=device, dtype=torch.int32),
        chunk=chunk,
    )


def key_gradient(q: Tensor, heads: int) -> Tensor:
    """Room for dQ or dK a value head: in q's dtype where each has a key head of its own, else float32 for the sum."""
    shape = (*q.shape[:2], heads, q.shape[3])
    return torch.empty(shape, dtype=q.dtype if heads == q.shape[2] else torch.float32, device=q.device)


def summed(gradient: Tensor, like: Tensor) -> Tensor:
    """[B, T, HV, K] -> [B, T, H, K], the value heads of a key head added up."""
    if gradient.shape == like.shape:
        return gradient
    grouped = gradient.view(*like.shape[:3], -1, like.shape[3])
    return torch.sum(grouped, 3).to(like.dtype)


def contiguous(*tensors: Any) -> Any:
    """Each in one piece; None stays None."""
    return tuple(None if x is None else x.contiguous() for x in tensors)


def kernel_sizes(q: Tensor, v: Tensor, cut: LaunchPlan) -> dict[str, Any]:
    """The compile-time numbers that all kernels of a family take."""
    return {
        "H": q.shape[2],
        "HV": v.shape[2],
        "K": q.shape[3],
        "V": v.shape[3],
        "C": cut.chunk,
        "BK": block(q.shape[3]),
        "PRECISION": precision(q.dtype),
    }


def configs(*choices: tuple[dict[str, int], int, int]) -> list[triton.Config]:
    """(meta, warps, stages) to try; only the first where the interpreter runs, which has no clock to choose by."""
    made = [triton.Config(meta, num_warps=warps, num_stages=stages) for meta, warps, stages in choices]
    return made[:1] if interpreting() else made


def block(width: int) -> int:
    """A power of two >= 16 that holds `width`: what a tensor core's product needs."""
    return max(16, 1 << (width - 1).bit_length())


def precision(dtype: torch.dtype) -> str:
    """How products of float32 operands are computed: exactly for float32 inputs, in tf32 for half ones."""
    return "ieee" if dtype == torch.float32 else "tf32"


@triton.jit
def load_tile(p, row, size, heads, head, column, width: tl.constexpr, C: tl.constexpr, B: tl.constexpr):
    """[C, B] of p [rows, heads, width], zero outside."""
    i, j = tl.arange(0, C), column + tl.arange(0, B)
    at = ((row + i)[:, None] * heads + head) * width + j[None, :]
    return tl.load(p + at, mask=(i[:, None] < size) & (j[None, :] < width), other=0.0)


@triton.jit
def load_tile_t(p, row, size, heads, head, column, width: tl.constexpr, C: tl.constexpr, B: tl.constexpr):
    """The same tile as [B, C], read in that order: a transposed product result is miscompiled on some cards."""
    i, j = tl.arange(0, C), column + tl.arange(0, B)
    at = ((row + i)[None, :] * heads + head) * width + j[:, None]
    return tl.load(p + at, mask=(i[None, :] < size) & (j[:, None] < width), other=0.0)


@triton.jit
def store_tile(p, x, row, size, heads, head, column, width: tl.constexpr, C: tl.constexpr, B: tl.constexpr):
    """[C, B] into p [rows, heads, width]."""
    i, j = tl.arange(0, C), column + tl.arange(0, B)
    at = ((row + i)[:, None] * heads + head) * width + j[None, :]
    tl.store(p + at, x.to(p.dtype.element_ty), mask=(i[:, None] < size) & (j[None, :] < width))


@triton.jit
def load_column(p, row, size, heads, head, C: tl.constexpr):
    """[C] of p [rows, heads], float32, zero outside."""
    i = tl.arange(0, C)
    return tl.load(p + (row + i) * heads + head, mask=i < size, other=0.0).to(tl.float32)


@triton.jit
def load_log_decay(g, row, size, heads, head, C: tl.constexpr):
    """[C] of g [rows, heads]; logarithms end where their power is zero: -inf - -inf would be no number."""
    return tl.maximum(load_column(g, row, size, heads, head, C), SMALLEST_LOG)


@triton.jit
def store_column(p, x, row, size, heads, head, C: tl.constexpr):
    """[C] into p [rows, heads]."""
    i = tl.arange(0, C)
    tl.store(p + (row + i) * heads + head, x.to(p.dtype.element_ty), mask=i < size)


@triton.jit
def state_at(index, heads, head, v0, K: tl.constexpr, V: tl.constexpr, BK: tl.constexpr, BV: tl.constexpr):
    """Offsets [BK, BV] into states [.., heads, K, V] at `index`, and their mask."""
    i, j = tl.arange(0, BK), v0 + tl.arange(0, BV)
    at = ((index * heads + head) * K + i[:, None].to(tl.int64)) * V + j[None, :]
    return at, (i[:, None] < K) & (j[None, :] < V)


@triton.jit
def state_at_t(index, heads, head, k0, v0, K: tl.constexpr, V: tl.constexpr, BK: tl.constexpr, BV: tl.constexpr):
    """The same as [BV, BK], from coordinate k0 of the key on."""
    i, j = k0 + tl.arange(0, BK), v0 + tl.arange(0, BV)
    at = ((index * heads + head) * K + i[None, :].to(tl.int64)) * V + j[:, None]
    return at, (i[None, :] < K) & (j[:, None] < V)


@triton.jit
def decay_matrix(gamma, C: tl.constexpr):
    """L [C, C] from gamma (in powers of two), zero above the diagonal; masked before the power, which may overflow."""
    i = tl.arange(0, C)
    lower = i[:, None] >= i[None, :]
    return tl.where(lower, tl.exp2(tl.where(lower, gamma[:, None] - gamma[None, :], 0.0)), 0.0)


@triton.jit
def decay_matrix_t(gamma, C: tl.constexpr):
    """L transposed."""
    i = tl.arange(0, C)
    upper = i[:, None] <= i[None, :]
    return tl.where(upper, tl.exp2(tl.where(upper, gamma[None, :] - gamma[:, None], 0.0)), 0.0)


@triton.jit
def load_gamma(p, row, size, heads, head, C: tl.constexpr):
    """gamma [C] and gamma_C; rows behind the last valid one get gamma_C, as if their g were zero."""
    i = tl.arange(0, C)
    gamma = load_column(p, row, size, heads, head, C)
    last = tl.sum(tl.where(i == size - 1, gamma, 0.0), 0)
    return tl.where(i < size, gamma, last), last


def interpreting() -> bool:
    """Whether kernels run on CPU tensors in this process (TRITON_INTERPRET=1 before Triton's import)."""
    return bool(triton.knobs.runtime.interpret)
