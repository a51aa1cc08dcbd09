"""Between [batch, time, heads, size] and chunks: [chunks * heads, C, size], the first chunks of all sequences first.

Chunk i of all sequences that have one is a contiguous slice: the only sequential part of the algorithm goes over these
slices. Packed sequences stand in it by length, longest first, so that those that have ended are missing at the end of a
slice and nothing is padded to the longest. A sequence is padded with zeros up to whole chunks: a token with k = v = q =
0, beta = 0 and g = 0 leaves every state as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from move37.kernels import contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """How time is cut."""

    batch: int  # sequences
    time: int  # tokens of a sequence, or of the packed row
    heads: int  # value heads
    chunk: int  # C, tokens of a chunk
    active: tuple[int, ...]  # how many sequences have an i-th chunk, never increasing
    order: Tensor | None = None  # packed: the sequences, longest first
    place: Tensor | None = None  # packed: where each token stands among the rows of all chunks

    @classmethod
    def of(cls, q: Tensor, v: Tensor, cu_seqlens: Tensor | None, chunk_size: Callable[[int, int], int]) -> Grid:
        """For q [B, T, H, K] and v [B, T, HV, V]; `chunk_size(tokens of the longest sequence, K)`.

        Raises BadSequences where `cu_seqlens` does not fit.
        """
        batch, time, heads, _ = v.shape
        if cu_seqlens is None:
            return cls.equal(batch, time, heads, chunk_size(time, q.shape[3]))
        bounds = contract.read_bounds(cu_seqlens, time)
        return cls.packed(bounds, heads, chunk_size(_widest(bounds), q.shape[3]), q.device)

    @classmethod
    def equal(cls, batch: int, time: int, heads: int, chunk: int) -> Grid:
        """Sequences of one length."""
        return cls(batch=batch, time=time, heads=heads, chunk=chunk, active=(batch,) * -(-time // chunk))

    @classmethod
    def packed(cls, bounds: list[int], heads: int, chunk: int, device: torch.device) -> Grid:
        """Sequences between `bounds`, packed into one row."""
        cut = torch.tensor(bounds)
        lengths = cut.diff()
        order = lengths.argsort(descending=True, stable=True)
        counts = -(-lengths // chunk)
        active = tuple(int((counts > i).sum()) for i in range(int(counts.max())))
        before = torch.tensor([0, *accumulate(active)])  # chunks before the i-th ones
        rank = order.argsort()
        sequence = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        position = torch.arange(bounds[-1]) - cut[sequence]
        place = (before[position // chunk] + rank[sequence]) * chunk + position % chunk
        return cls(
            batch=len(lengths),
            time=bounds[-1],
            heads=heads,
            chunk=chunk,
            active=active,
            order=order.to(device),
            place=place.to(device),
        )

    @property
    def chunks(self) -> int:
        """Chunks of all sequences together."""
        return sum(self.active)

    @property
    def batch_heads(self) -> int:
        """Independent recurrences: sequences times heads."""
        return self.batch * self.heads

    @property
    def sizes(self) -> list[int]:
        """The heights of the slices: heads of all sequences that have an i-th chunk."""
        return [count * self.heads for count in self.active]

    def split(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """[B, T, h, D] or [B, T, h] -> [chunks * heads, C, D] or [.., C]; key heads are repeated as needed."""
        if self.place is None:
            steps = len(self.active)
            pad = steps * self.chunk - self.time
            if pad:
                x = torch.cat((x, x.new_zeros(self.batch, pad, *x.shape[2:])), 1)
            x = x.reshape(self.batch, steps, self.chunk, *x.shape[2:]).transpose(0, 1)
        else:
            rows = x.new_zeros(self.chunks * self.chunk, *x.shape[2:])
            x = rows.index_copy_(0, self.place, x[0]).view(self.chunks, 1, self.chunk, *x.shape[2:])
        x = x.transpose(2, 3)  # [.., .., h, C, D]
        group = self.heads // x.shape[2]
        if group > 1:
            x = x.unsqueeze(3).expand(-1, -1, -1, group, *([-1] * (x.dim() - 3)))
        out = torch.empty(
            self.chunks * self.heads, self.chunk, *x.shape[4 + (group > 1) :], dtype=dtype, device=x.device
        )
        out.view(x.shape).copy_(x)
        return out

    def join(self, x: Tensor, heads: int, dtype: torch.dtype) -> Tensor:
        """The way back, [B, T, heads, D] or [B, T, heads]; where heads were repeated, their values are summed."""
        x = x.view(self.chunks, heads, self.heads // heads, *x.shape[1:])
        x = x.sum(2) if self.heads != heads else x.squeeze(2)
        x = x.transpose(1, 2)  # [chunks, C, heads, D]
        if self.place is not None:
            return x.flatten(0, 1)[self.place].to(dtype).unsqueeze(0)
        steps = len(self.active)
        x = x.reshape(steps, self.batch, *x.shape[1:]).transpose(0, 1)
        out = torch.empty(self.batch, steps * self.chunk, heads, *x.shape[4:], dtype=dtype, device=x.device)
        out.view(x.shape).copy_(x)
        return out[:, : self.time] if out.shape[1] != self.time else out

    def states_in(self, state: Tensor, dtype: torch.dtype) -> Tensor:
        """[N, HV, K, V] -> [N * HV, K, V], longest sequence first."""
        state = state.to(dtype)
        return (state if self.order is None else state[self.order]).flatten(0, 1)

    def states_out(self, state: Tensor) -> Tensor:
        """The way back."""
        state = state.view(self.batch, self.heads, *state.shape[1:])
        if self.order is None:
            return state
        return torch.empty_like(state).index_copy_(0, self.order, state)


def _widest(bounds: list[int]) -> int:
    """Tokens of the longest packed sequence."""
    return max(later - earlier for earlier, later in pairwise(bounds))
