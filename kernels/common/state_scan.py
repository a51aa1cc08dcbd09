"""The only sequential part: states from chunk to chunk, forwards or, for their gradients, backwards.

Chunks are ordered as layout.Grid says: slice i holds the i-th chunks of all sequences that have one, heads of a
sequence side by side. `sizes` are the heights of the slices; they never increase, and where one is lower than the one
before it, sequences have ended.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

Target = tuple[Tensor, slice | None]  # where a state goes, and which rows of the slice go there (None: all)


def state_scan(
    step: Tensor | None, add: Tensor, edge: Tensor | None, sizes: list[int], ends: int, *, back: bool = False
) -> tuple[Tensor, Tensor]:
    """S' = step S + add over the chunks of every sequence. -> S before each chunk [n, K, V], the last [ends, K, V].

    add [n, K, V], n the sum of `sizes`; step None for the identity, or factors [n, .., ..] that broadcast over K and V;
    edge the known end of each of the `ends` recurrences, [ends, K, V], or None for zeros. With `back` the last chunk
    comes first: -> what comes into each chunk from behind, and what leaves the first ones.
    """
    inner, out = _room(add.shape[1:], edge, sizes, ends, add, back=back)
    steps, adds = None if step is None else torch.split(step, sizes), torch.split(add, sizes)
    for i, come, targets in _transitions(inner, out, sizes, back=back):
        for go, part in targets:
            if steps is None:
                torch.add(_of(come, part), _of(adds[i], part), out=go)
            else:
                torch.addcmul(_of(adds[i], part), _of(steps[i], part), _of(come, part), out=go)
    return inner, out


def delta_state_scan(
    rows: Tensor,
    reads: Tensor,
    writes: Tensor,
    step: Tensor | None,
    add: Tensor | None,
    edge: Tensor | None,
    sizes: list[int],
    ends: int,
    *,
    back: bool = False,
) -> tuple[Tensor, Tensor]:
    """rows += reads S, in place, then S' = step S + add + writes^T rows; what comes back is as in `state_scan`.

    rows [n, C, V]; reads, writes [n, C, K]; add None for nothing.
    """
    inner, out = _room((reads.shape[2], rows.shape[2]), edge, sizes, ends, rows, back=back)
    steps, adds = (None if x is None else torch.split(x, sizes) for x in (step, add))
    every_row, every_read, every_write = (torch.split(x, sizes) for x in (rows, reads, writes.mT))
    for i, come, targets in _transitions(inner, out, sizes, back=back):
        row = every_row[i].baddbmm_(every_read[i], come)
        for go, part in targets:
            known = _of(come, part)
            factor = None if steps is None else _of(steps[i], part)
            if adds is None:
                go = go.copy_(known) if factor is None else torch.mul(known, factor, out=go)
            else:
                more = _of(adds[i], part)
                go = torch.add(known, more, out=go) if factor is None else torch.addcmul(more, factor, known, out=go)
            go.baddbmm_(_of(every_write[i], part), _of(row, part))
    return inner, out


def _of(x: Tensor, part: slice | None) -> Tensor:
    return x if part is None else x[part]


def _room(
    shape: tuple[int, ...], edge: Tensor | None, sizes: list[int], ends: int, like: Tensor, *, back: bool
) -> tuple[Tensor, Tensor]:
    """Memory for the states, with what is known filled in: the first ones, or with `back` the last ones."""
    inner, out = like.new_empty(sum(sizes), *shape), like.new_empty(ends, *shape)
    begun = sizes[0] if sizes else 0
    _fill(out[begun:], edge, begun)  # empty sequences keep their state
    if not back:
        _fill(inner[:begun], edge, 0)
        return inner, out
    start = 0
    for size, following in zip(sizes, [*sizes[1:], 0], strict=True):
        if following < size:
            _fill(inner[start + following : start + size], edge, following)
        start += size
    return inner, out


def _fill(into: Tensor, edge: Tensor | None, start: int) -> None:
    if edge is None:
        into.zero_()
    else:
        into.copy_(edge[start : start + into.shape[0]])


def _transitions(
    inner: Tensor, out: Tensor, sizes: list[int], *, back: bool
) -> Iterator[tuple[int, Tensor, list[Target]]]:
    """(slice, states that come in, where those that go out are stored), in the order of computation."""
    every, last = torch.split(inner, sizes) if sizes else (), len(sizes) - 1
    if back:
        for i in range(last, -1, -1):
            yield i, every[i], [(every[i - 1][: sizes[i]] if i else out[: sizes[0]], None)]
        return
    for i, come in enumerate(every):
        following = sizes[i + 1] if i < last else 0
        if following == sizes[i]:
            yield i, come, [(every[i + 1], None)]
        elif following == 0:
            yield i, come, [(out[: sizes[i]], None)]
        else:
            ended = slice(following, sizes[i])
            yield i, come, [(every[i + 1], slice(0, following)), (out[ended], ended)]
