"""How large an experiment is: the network around a mixer, a step's batch, how long it trains. Standard library only.

A scale is a setting (`--scale`, `[scale]`) that a campaign's record and every measurement carry (`Scale.key`); numbers
of two scales never compare. `CPU` is where the noise, the best rates and the smallest visible effect were measured
(docs/figures). Any other is measured by `move37 calibrate` before anything is promoted on it (`lab/calibration.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

VOCABULARY = 256  # bytes
PARAMETERS_AT_64 = 98_600  # of the whole network with 2 layers of width 64
WARMUP_SHARE = 25  # one step in so many warms up
OWN = "own"  # the name of a scale whose sizes the user gives
FACT = "scale"  # the fact of a campaign that says at which one it runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """One scale. Raises `ValueError` where its parts do not fit each other."""

    name: str
    width: int  # d_model
    layers: int
    heads: int
    context: int  # bytes that a sequence predicts
    batch: int  # sequences a step
    steps: int  # that the learning-rate schedule is laid out for
    micro_batch: int = 0  # sequences of one pass, whose gradients add up to a step's; 0: the whole batch at once

    def __post_init__(self) -> None:
        numbers = (self.width, self.layers, self.heads, self.context, self.batch, self.steps)
        if min(numbers) < 1 or self.width % self.heads or self.width // self.heads < 2:
            raise ValueError("a scale has positive sizes, and a width that is a multiple of its heads")
        if self.micro_batch < 0 or (self.micro_batch and self.batch % self.micro_batch):
            raise ValueError("a batch is a multiple of its micro-batch, so that every part weighs the same")

    @property
    def key(self) -> str:
        """The sizes that a number depends on, without the steps and the micro-batch (which only changes rounding)."""
        return f"{self.layers}x{self.width}h{self.heads}-{self.batch}x{self.context}"

    @property
    def words(self) -> str:
        """For a user."""
        return (
            f"{self.name} ({self.layers} layers of width {self.width}, {self.heads} heads, "
            f"{self.batch} x {self.context} bytes a step, {self.steps:,} steps)"
        )

    @property
    def parameters(self) -> int:
        """Parameters of the whole network; the MLP's width makes every mixer's network this large."""
        return target_parameters(self.width, self.layers)

    @property
    def tokens(self) -> int:
        """Tokens of a whole training."""
        return self.steps * self.batch * self.context

    @property
    def warmup(self) -> int:
        """Steps until the learning rate stands at its peak."""
        return max(1, round(self.steps / WARMUP_SHARE))

    @property
    def rows(self) -> int:
        """Sequences of one pass."""
        return self.micro_batch or self.batch

    @property
    def calibrated(self) -> bool:
        """Whether this is the scale at which the lab measured the noise between seeds."""
        return (self.key, self.steps) == (CPU.key, CPU.steps)

    @property
    def place(self) -> tuple[str, int]:
        """What two campaigns must have in common for one to use the other's baselines."""
        return self.key, self.steps


def target_parameters(width: int, layers: int = 2) -> int:
    """Of the whole network at a width and depth.

    The embedding grows with the width, everything else with its square and with the layers.
    """
    embedding = VOCABULARY * 64
    ratio = width / 64
    return round(embedding * ratio + (PARAMETERS_AT_64 - embedding) * ratio**2 * layers / 2)


CPU = Scale(name="cpu", width=64, layers=2, heads=4, context=128, batch=16, steps=500)
SMALL = Scale(name="small", width=128, layers=4, heads=4, context=256, batch=16, steps=2000)
# The first protocol of ASI-ARCH (2507.18074): 8 layers of width 256, context 2048, 1 B tokens; bytes here.
PAPER = Scale(name="paper", width=256, layers=8, heads=8, context=2048, batch=32, steps=15_259, micro_batch=8)
SCALES = {scale.name: scale for scale in (CPU, SMALL, PAPER)}


def as_fact(scale: Scale | None) -> dict[str, Any] | None:
    """As a campaign's facts hold it; None of a task that has none."""
    return None if scale is None else asdict(scale)


def of_facts(facts: Mapping[str, Any]) -> Scale:
    """The scale of a campaign; those that say none are older than the setting, and ran at `CPU`."""
    found = facts.get(FACT)
    return Scale(**found) if found else CPU
