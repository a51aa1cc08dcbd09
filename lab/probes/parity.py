"""Parity: 40 random bits, the answer at each position is the exclusive or of all bits so far.

Trained and tested at one length, with an answer everywhere: not comparable with published tables, and a value near 1
does not show that the state flips at any length. `parity_far` tests that: the same training, to its last step, then 40
to 256 bits with the answer due at the last alone, as arXiv 2411.12537 tests. Its training keeps an answer at every bit,
so it meets every length up to 40; with the answer at the end alone, as published, one layer learns nothing in 300
steps.

A yes-or-no test of negative eigenvalues in the state's transition (arXiv 2411.12537): a delta rule whose beta goes
to 2 solves it, one that stops at 1 does not, nor does any decay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from move37.lab.probes.probe import IGNORE, Probe, Tokens

LENGTH, FARTHEST = 40, 256


def make(rng: np.random.Generator, count: int) -> tuple[Tokens, Tokens]:
    """Bits, and their running parity."""
    bits = rng.integers(0, 2, size=(count, LENGTH), dtype=np.uint8)
    return bits, np.bitwise_xor.accumulate(bits, axis=1)


def make_far(rng: np.random.Generator, count: int) -> tuple[Tokens, Tokens]:
    """256 bits a row; the answer is due at one place of the 40th to the last."""
    bits = rng.integers(0, 2, size=(count, FARTHEST), dtype=np.uint8)
    answers = np.full_like(bits, IGNORE)
    rows, last = np.arange(count), rng.integers(LENGTH - 1, FARTHEST, size=count)
    answers[rows, last] = np.bitwise_xor.accumulate(bits, axis=1)[rows, last]
    return bits, answers


PARITY = Probe(name="parity", chance=0.5, vocabulary=2, length=LENGTH, steps=300, learning_rate=1e-2, make=make)
PARITY_FAR = replace(PARITY, name="parity_far", make_test=make_far, enough=None, tests=1024)
