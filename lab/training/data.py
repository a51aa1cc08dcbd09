"""Training batches by seed and step, and scoring windows, drawn outside of the candidate's process.

A candidate receives the bytes of its own training steps and nothing else of the corpus; scoring inputs go to another
job (`score`). The same seed gives every arm the same batches, so that differences pair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

BATCH = 16  # sequences a step
LENGTH = 128  # bytes predicted a sequence

SCREEN_WINDOWS = 512  # 65,536 predicted bytes: standard error of a paired difference .0057 bpb
DECIDE_WINDOWS = 1536  # 196,608 predicted bytes: .0033 bpb
_WINDOW_SEED = 37


def draw_batches(text: Bytes, *, seed: int, start: int, stop: int, batch: int = BATCH, length: int = LENGTH) -> Bytes:
    """Training windows of steps start..stop-1 of `seed`: [steps, batch, length + 1]; at the CPU scale 2 kB a step.

    Each step has its own generator, so that a continued training sees what an unbroken one would have seen.
    """
    window = length + 1
    batches = np.empty((stop - start, batch, window), dtype=np.uint8)
    reach = np.arange(window)
    for step in range(start, stop):
        first = np.random.default_rng((seed, step)).integers(0, len(text) - window, size=batch)
        batches[step - start] = text[first[:, None] + reach]
    return batches


def scoring_windows(text: Bytes, *, fresh: bool, secret: int | None = None, length: int = LENGTH) -> Bytes:
    """Validation windows, [count, length + 1]: disjoint, in a shuffled order, others to decide than to screen.

    Those that screen are the same for all candidates. Those that decide are drawn by `secret` from all the rest (None:
    the first of the fixed order), so that a candidate's author cannot know them. Disjoint, so that no row's input
    holds another row's target. A short text gives fewer windows, split 1 : 3.
    """
    window = length + 1
    whole = len(text) // window
    order = np.random.default_rng(_WINDOW_SEED).permutation(whole)
    screen = min(max(1, SCREEN_WINDOWS * LENGTH // length), whole // 4)
    rest = order[screen:]
    if secret is not None:
        rest = np.random.default_rng((_WINDOW_SEED, secret)).permutation(rest)
    chosen = rest[: max(1, DECIDE_WINDOWS * LENGTH // length)] if fresh else order[:screen]
    return np.ascontiguousarray(text[: whole * window].reshape(whole, window)[chosen])
