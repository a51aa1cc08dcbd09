"""What a probe is: a synthetic task with a fixed number of steps, its tuned learning rate, and a data maker.

Data is made outside the sandbox from a seed; the candidate receives training examples with answers and, in another
job, test inputs without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.uint8]
IGNORE = 255  # a position without an answer

Make = Callable[[np.random.Generator, int], tuple[Tokens, Tokens]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One rung-1 task. `make(rng, count)` gives inputs and answers, both [count, length]; IGNORE where none is due."""

    name: str  # also the metric's name (accuracy, 0..1); a changed probe gets another name
    chance: float  # accuracy of a guess
    vocabulary: int  # token values, of inputs and answers together
    length: int
    steps: int  # fixed: never a time budget
    learning_rate: float  # tuned on the baselines
    make: Make
    batch: int = 64
    tests: int = 512  # test sequences
    make_test: Make | None = None  # where the test is another than the training, longer for one; [count, its length]
    enough: float | None = 0.997  # training accuracy that ends a probe early when it is kept up; None: all steps

    def draw_test(self, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """Test inputs and answers."""
        return (self.make_test or self.make)(rng, self.tests)


def accuracy(scores: NDArray[np.floating], answers: Tokens) -> float:
    """Share of answered positions where the best of `scores` [count, length, vocabulary] is the answer."""
    due = answers != IGNORE
    return float(np.mean(np.argmax(scores, axis=-1)[due] == answers[due]))
