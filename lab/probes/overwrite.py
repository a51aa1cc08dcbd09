"""Overwrite recall: 16 writes of 16 values onto 4 keys, then 16 queries for the latest value of a key.

Distinguishes memories that erase before they write (delta rules, gates, attention) from those that only add: plain
linear attention cannot forget the value that was overwritten.
"""

from __future__ import annotations

import numpy as np

from move37.lab.probes.probe import IGNORE, Probe, Tokens

KEYS, VALUES, WRITES, QUERIES = 4, 16, 16, 16


def make(rng: np.random.Generator, count: int) -> tuple[Tokens, Tokens]:
    """[key, value] * 16, then 16 keys; the answer at each of those is the value last written to it."""
    rest = rng.integers(0, KEYS, size=(count, WRITES - KEYS))
    once = np.broadcast_to(np.arange(KEYS), (count, KEYS))  # every key is written at least once
    keys = rng.permuted(np.concatenate([once, rest], axis=1), axis=1)
    values = rng.integers(0, VALUES, size=(count, WRITES))
    queries = rng.integers(0, KEYS, size=(count, QUERIES))
    latest = np.zeros((count, KEYS), dtype=np.int64)
    rows = np.arange(count)
    for write in range(WRITES):
        latest[rows, keys[:, write]] = values[:, write]
    writes = np.stack([keys, KEYS + values], axis=-1).reshape(count, 2 * WRITES)
    inputs = np.concatenate([writes, queries], axis=1).astype(np.uint8)
    answers = np.full_like(inputs, IGNORE)
    answers[:, 2 * WRITES :] = KEYS + np.take_along_axis(latest, queries, axis=1)
    return inputs, answers


OVERWRITE_RECALL = Probe(
    name="overwrite_recall",
    chance=1 / VALUES,
    vocabulary=KEYS + VALUES,
    length=2 * WRITES + QUERIES,
    steps=400,
    learning_rate=1e-2,
    make=make,
)
