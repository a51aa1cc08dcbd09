"""Seven mixers of the literature, written to the candidate contract: what agents read, and what candidates must beat.

Each has the modifiers that its family profits from (short convolution, norm, gate; unit keys for the delta rules),
and all have nearly the same number of parameters. They are read as text here; only the sandbox executes them.
"""

from __future__ import annotations

from pathlib import Path

NAMES = ("softmax", "linear", "retnet", "mamba2", "gla", "delta_net", "gated_delta_net")
QUADRATIC = "softmax"  # exempt from the complexity gate, this very source alone
FAMILIES = {
    "softmax": "softmax",
    "linear": "linear",
    "retnet": "retention",
    "mamba2": "ssd",
    "gla": "gla",
    "delta_net": "delta",
    "gated_delta_net": "gated_delta",
}
LARGEST = 21_840  # parameters of the largest of them (gla) at width 64 with 4 heads; a test counts again


def source(name: str) -> str:
    """The text of the baseline called `name`, one of `NAMES`."""
    return (Path(__file__).with_name(name).with_suffix(".py")).read_text(encoding="utf-8")


def is_quadratic_baseline(text: str) -> bool:
    """Whether `text` is the softmax baseline, unchanged."""
    return text == source(QUADRATIC)


def largest(width: int) -> int:
    """Parameters that the largest of them may have at `width`: weights are matrices of it."""
    return LARGEST * width**2 // 64**2
