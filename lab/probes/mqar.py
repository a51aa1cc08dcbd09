"""Multi-query associative recall: 16 key-value pairs, then 32 queries (arXiv 2312.04927, dense form).

In 20 CPU seconds every family ends near 1.0, so on a CPU it only shows which learn slowly. It is part of the full
preset; the sizes that separate families (state smaller than the pairs, thousands of steps) need a GPU.
"""

from __future__ import annotations

import numpy as np

from move37.lab.probes.probe import IGNORE, Probe, Tokens

KEYS, VALUES, PAIRS, QUERIES = 32, 32, 16, 32


def make(rng: np.random.Generator, count: int) -> tuple[Tokens, Tokens]:
    """[key, value] * 16 with distinct keys, then 32 of those keys; the answer at each is its value."""
    keys = rng.permuted(np.broadcast_to(np.arange(KEYS), (count, KEYS)), axis=1)[:, :PAIRS]
    values = rng.integers(0, VALUES, size=(count, PAIRS))
    asked = rng.integers(0, PAIRS, size=(count, QUERIES))
    pairs = np.stack([keys, KEYS + values], axis=-1).reshape(count, 2 * PAIRS)
    inputs = np.concatenate([pairs, np.take_along_axis(keys, asked, axis=1)], axis=1).astype(np.uint8)
    answers = np.full_like(inputs, IGNORE)
    answers[:, 2 * PAIRS :] = KEYS + np.take_along_axis(values, asked, axis=1)
    return inputs, answers


MQAR = Probe(
    name="mqar",
    chance=1 / VALUES,
    vocabulary=KEYS + VALUES,
    length=2 * PAIRS + QUERIES,
    steps=400,
    learning_rate=1e-2,
    make=make,
)
