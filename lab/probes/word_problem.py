"""The word problem of S3: a word of permutations of three things, the answer at each position is their product so far.

Trained on words of 16, tested on 64, where the last 32 products count. One Householder step a token cannot solve it in
one layer, two with beta up to 2 can (DeltaProduct, arXiv 2502.10297; benchmarks/state_tracking.py has those arms).
"""

from __future__ import annotations

import itertools

import numpy as np

from move37.lab.probes.probe import IGNORE, Probe, Tokens

GROUP = tuple(itertools.permutations(range(3)))
TABLE = np.array([[GROUP.index(tuple(a[i] for i in b)) for b in GROUP] for a in GROUP], dtype=np.uint8)
LENGTH, FARTHEST, COUNTED = 16, 64, 32


def make(rng: np.random.Generator, count: int) -> tuple[Tokens, Tokens]:
    """Words of 16 and the products of all their beginnings."""
    return _words(rng, count, LENGTH)


def make_far(rng: np.random.Generator, count: int) -> tuple[Tokens, Tokens]:
    """Words of 64; the products of the last 32 places are due."""
    words, products = _words(rng, count, FARTHEST)
    products[:, : FARTHEST - COUNTED] = IGNORE
    return words, products


def _words(rng: np.random.Generator, count: int, length: int) -> tuple[Tokens, Tokens]:
    words = rng.integers(0, len(GROUP), size=(count, length), dtype=np.uint8)
    products = words.copy()
    for t in range(1, length):
        products[:, t] = TABLE[products[:, t - 1], words[:, t]]
    return words, products


S3_FAR = Probe(
    name="s3_far",
    chance=1 / len(GROUP),
    vocabulary=len(GROUP),
    length=LENGTH,
    steps=400,
    learning_rate=1e-2,
    make=make,
    make_test=make_far,
    enough=None,
)
