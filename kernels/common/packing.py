"""Packed sequences (cu_seqlens) for what knows plain batches only: each for itself, or all at once if equally long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

Recurrence = Callable[..., tuple[Tensor, Tensor]]  # what goes over time and a state, of a plain batch -> o, state


def one_by_one(
    run: Recurrence,
    bounds: list[int],
    over_time: Sequence[Tensor | None],
    state: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """q, k, v and what else goes over time [1, tokens, ...], state [N, HV, K, V] -> o [1, tokens, HV, V], state."""
    q, _, v = over_time[:3]
    assert q is not None and v is not None
    lengths = {later - earlier for earlier, later in pairwise(bounds)}
    count = len(bounds) - 1
    if len(lengths) == 1:
        o, last = run(*(None if x is None else x.reshape(count, -1, *x.shape[2:]) for x in over_time), state)
        return o.flatten(0, 1).unsqueeze(0), last
    outputs, states = [], []
    for n, (start, stop) in enumerate(pairwise(bounds)):
        own = None if state is None else state[n : n + 1]
        if start == stop:
            empty = v.new_zeros(1, v.shape[2], q.shape[3], v.shape[3], dtype=_wide(q))
            states.append(empty if own is None else own.to(empty.dtype))
            continue
        o, last = run(*(None if x is None else x[:, start:stop] for x in over_time), own)
        outputs.append(o)
        states.append(last)
    return torch.cat(outputs, 1), torch.cat(states)


def _wide(q: Tensor) -> torch.dtype:
    return torch.float64 if q.dtype == torch.float64 else torch.float32
