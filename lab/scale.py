"""How large an experiment is: the network around a mixer, a step's batch, how long it trains. Standard library only.

A scale is a setting that every measurement carries (width, steps of the schedule); numbers of two scales never compare.
`CPU` is where the noise, the best rates and the smallest visible effect were measured (docs/figures); a scale for which
they were not measured ranks, and promotes nothing by a calibrated interval.
"""

from __future__ import annotations

from dataclasses import dataclass

from move37.lab.training.sizes import target_parameters


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

    def __post_init__(self) -> None:
        numbers = (self.width, self.layers, self.heads, self.context, self.batch, self.steps)
        if min(numbers) < 1 or self.width % self.heads or self.width // self.heads < 2:
            raise ValueError("a scale has positive sizes, and a width that is a multiple of its heads")

    @property
    def parameters(self) -> int:
        """Of the whole network: what every mixer's MLP makes up to."""
        return target_parameters(self.width, self.layers)

    @property
    def tokens(self) -> int:
        """That a whole training consumes."""
        return self.steps * self.batch * self.context

    @property
    def calibrated(self) -> bool:
        """Whether the lab measured the noise between seeds here."""
        return (self.width, self.layers, self.heads, self.context, self.batch, self.steps) == _MEASURED


_MEASURED = (64, 2, 4, 128, 16, 500)
CPU = Scale(name="cpu", width=64, layers=2, heads=4, context=128, batch=16, steps=500)
SMALL = Scale(name="small", width=128, layers=4, heads=4, context=256, batch=16, steps=2000)
# The first protocol of ASI-ARCH (2507.18074): 8 layers of width 256, context 2048, 1 B tokens; bytes here.
PAPER = Scale(name="paper", width=256, layers=8, heads=8, context=2048, batch=32, steps=15_259)
SCALES = {scale.name: scale for scale in (CPU, SMALL, PAPER)}
