"""Selective copy: 4 symbols among 12 blanks, then 4 marks at which the symbols are due in their order.

Needs a mixer that decides by content what to keep (the selective copying of MAD, arXiv 2403.17844, cut down to a CPU:
with 8 of 16 symbols among 40 blanks no baseline solved it in 400 steps; docs/figures/lab.md).
"""

from __future__ import annotations

import numpy as np

from move37.lab.probes.probe import IGNORE, Probe, Tokens

SYMBOLS, KEPT, SPAN = 8, 4, 16
BLANK, MARK = SYMBOLS, SYMBOLS + 1


def make(rng: np.random.Generator, count: int) -> tuple[Tokens, Tokens]:
    """Symbols at random places of the first 16 positions; the answers stand at the last 4."""
    places = np.sort(rng.permuted(np.broadcast_to(np.arange(SPAN), (count, SPAN)), axis=1)[:, :KEPT], axis=1)
    symbols = rng.integers(0, SYMBOLS, size=(count, KEPT), dtype=np.uint8)
    inputs = np.full((count, SPAN + KEPT), BLANK, dtype=np.uint8)
    np.put_along_axis(inputs, places, symbols, axis=1)
    inputs[:, SPAN:] = MARK
    answers = np.full_like(inputs, IGNORE)
    answers[:, SPAN:] = symbols
    return inputs, answers


SELECTIVE_COPY = Probe(
    name="selective_copy",
    chance=1 / SYMBOLS,
    vocabulary=SYMBOLS + 2,
    length=SPAN + KEPT,
    steps=400,
    learning_rate=1e-2,
    make=make,
)
