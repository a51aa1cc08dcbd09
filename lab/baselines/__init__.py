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


def largest(width: int, heads: int) -> int:
    """Parameters that the largest of them may have: what it has, and no less than grows as a square from width 64.

    Counted as the two largest are built, gla and gated_delta_net; a test counts all of them again.
    """
    matrices, norm, rank = 5 * width**2, width // heads, max(1, width // 16)
    gla = matrices + (13 + 2 * rank) * width + norm
    gated_delta_net = matrices + (12 + 2 * heads) * width + norm + 2 * heads
    return max(gla, gated_delta_net, LARGEST * width**2 // 64**2)
