"""Between [batch, time, heads, size] and chunks: [chunks * batch * heads, C, size], the chunk index first.

Chunk-first means that the state of one chunk, for all sequences and heads, is one contiguous slice: the only sequential
part of the algorithm walks over these slices. Time is padded with zeros up to whole chunks: a token with k = v = q = 0,
beta = 0 and g = 0 leaves every state as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """How time is cut."""

    batch: int  # sequences
    time: int  # tokens of a sequence
    heads: int  # value heads
    chunk: int  # C, tokens of a chunk

    @property
    def chunks(self) -> int:
        """Chunks of a sequence."""
        return -(-self.time // self.chunk)

    @property
    def batch_heads(self) -> int:
        """Independent recurrences: sequences times heads."""
        return self.batch * self.heads

    def split(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """[B, T, h, D] or [B, T, h] -> [chunks * B * heads, C, D] or [.., C]; key heads are repeated as needed."""
        shape = (self.batch, self.chunks, self.chunk, *x.shape[2:])
        pad = self.chunks * self.chunk - self.time
        if pad:
            x = torch.cat((x, x.new_zeros(self.batch, pad, *x.shape[2:])), 1)
        x = x.reshape(shape).permute(1, 0, 3, 2, *range(4, len(shape)))
        group = self.heads // x.shape[2]
        if group > 1:
            x = x.unsqueeze(3).expand(-1, -1, -1, group, *([-1] * (x.dim() - 3)))
        out = torch.empty(
            self.chunks * self.batch_heads, self.chunk, *x.shape[3 + (group > 1) + 1 :], dtype=dtype, device=x.device
        )
        out.view(x.shape).copy_(x)
        return out

    def join(self, x: Tensor, heads: int, dtype: torch.dtype) -> Tensor:
        """The way back, [B, T, heads, D] or [B, T, heads]; where heads were repeated, their values are summed."""
        x = x.view(self.chunks, self.batch, heads, self.heads // heads, *x.shape[1:])
        x = x.sum(3) if self.heads != heads else x.squeeze(3)
        x = x.permute(1, 0, 3, 2, *range(4, x.dim()))
        out = torch.empty(self.batch, self.chunks * self.chunk, heads, *x.shape[4:], dtype=dtype, device=x.device)
        out.view(x.shape).copy_(x)
        return out[:, : self.time] if out.shape[1] != self.time else out
