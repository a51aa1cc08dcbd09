"""Parity: 40 random bits, the answer at each position is the exclusive or of all bits so far.

A yes-or-no test of negative eigenvalues in the state's transition (arXiv 2411.12537): a delta rule whose beta goes
to 2 solves it, one that stops at 1 does not, nor does any decay.
"""

from __future__ import annotations

import numpy as np

from move37.lab.probes.probe import Probe, Tokens

LENGTH = 40


def make(rng: np.random.Generator, count: int) -> tuple[Tokens, Tokens]:
    """Bits, and their running parity."""
    bits = rng.integers(0, 2, size=(count, LENGTH), dtype=np.uint8)
    return bits, np.bitwise_xor.accumulate(bits, axis=1)


PARITY = Probe(name="parity", vocabulary=2, length=LENGTH, steps=300, learning_rate=1e-2, make=make)
