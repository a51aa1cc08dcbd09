"""Packed sequences (cu_seqlens) and the padded batch that holds them: for implementations that want a plain batch."""

from __future__ import annotations

import torch
from torch import Tensor


class Packed:
    """Sequences of different lengths in one row, [1, tokens, ...], and the batch [N, longest, ...] that holds them."""

    def __init__(self, bounds: list[int], device: torch.device) -> None:
        start = torch.tensor(bounds[:-1], device=device)
        length = torch.tensor(bounds[1:], device=device) - start
        step = torch.arange(max(1, int(length.max())), device=device)
        self._valid = step < length[:, None]
        self._token = (start[:, None] + step)[self._valid]

    def unpack(self, x: Tensor) -> Tensor:
        """[1, tokens, ...] -> [N, longest, ...]; the padding is zero and so changes no state."""
        out = x.new_zeros(*self._valid.shape, *x.shape[2:])
        return out.index_put((self._valid,), x[0, self._token])

    def pack(self, o: Tensor) -> Tensor:
        """[N, longest, ...] -> [1, tokens, ...]."""
        return o[self._valid].unsqueeze(0)
