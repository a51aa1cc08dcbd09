"""The optimiser's settings of rung 2, and the learning rate at every step. Pure; runs in the sandbox too.

A run is laid out for `TOTAL_STEPS` and stops at its rung's step; the next rung continues from the checkpoint, so that
a promoted candidate trains exactly as in one unbroken run.
"""

from __future__ import annotations

import math

FIRST_FRESH_SEED = 1000  # fresh seeds start here, so that no screening seed can be among them
TOTAL_STEPS = 500
WARMUP_STEPS = 20
FINAL_SHARE = 0.1  # of the peak rate, at the last step
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.01
CLIP_NORM = 1.0


def learning_rate(step: int, *, peak: float, total: int = TOTAL_STEPS, warmup: int = WARMUP_STEPS) -> float:
    """Linear warm-up, then a cosine down to FINAL_SHARE of `peak`; `step` counts from 0."""
    if step < warmup:
        return peak * (step + 1) / warmup
    share = min(1.0, (step - warmup) / max(1, total - warmup))
    return peak * (FINAL_SHARE + (1.0 - FINAL_SHARE) * 0.5 * (1.0 + math.cos(math.pi * share)))
