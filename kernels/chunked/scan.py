"""The only sequential part: states from chunk to chunk."""

from __future__ import annotations

import torch
from torch import Tensor


def scan(step: Tensor | None, add: Tensor, first: Tensor, *, matrix: bool = False) -> Tensor:
    """S_{i+1} = step_i S_i + add_i over the leading axis: add [chunks, lanes, K, V] -> [chunks + 1, lanes, K, V].

    step: None for the identity; factors that broadcast over [lanes, K, V]; with `matrix`, [chunks, lanes, K, K].
    """
    states = torch.empty(add.shape[0] + 1, *add.shape[1:], dtype=add.dtype, device=add.device)
    states[0] = first
    for i in range(add.shape[0]):
        if step is None:
            torch.add(states[i], add[i], out=states[i + 1])
        elif matrix:
            torch.baddbmm(add[i], step[i], states[i], out=states[i + 1])
        else:
            torch.addcmul(add[i], step[i], states[i], out=states[i + 1])
    return states
