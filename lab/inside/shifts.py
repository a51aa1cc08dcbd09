"""A shift of a layer's input or weights: what reported gradients say of its effect, and how far that is off.

Pure. Who draws shifts and asks for outputs is `verify`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from move37.lab.inside.remote import Record
from move37.lab.inside.tensors import real

ROUNDING = 256 * 2.0**-24  # of |gradient of y * y|: what float32 may change (the worst of 21 mixers: an eighth of it)
LOUD, LARGER = 8.0, 16.0  # a shift grows until its effect is so many times louder than rounding, at most by so much
HEARD = 2.0  # times rounding: an effect below it cannot clear a disagreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """By how much an input and each weight are moved; None: not at all."""

    x: Tensor | None
    values: list[Tensor | None]


def scaled(shift: Shift, by: float) -> Shift:
    """The same direction, nearer or further, or its opposite."""
    return Shift(
        x=None if shift.x is None else shift.x * by,
        values=[None if value is None else value * by for value in shift.values],
    )


def audible(record: Record, shift: Shift) -> Shift:
    """The same direction, with larger steps where the reported effect would be below rounding."""
    reported = said(record, shift)
    wanted = LOUD * reported.rounding
    if reported.spread >= wanted:
        return shift
    return scaled(shift, min(LARGER, wanted / reported.spread) if reported.spread else LARGER)


def disagreement(record: Record, shift: Shift, y: Tensor) -> float:
    """|measured - reported| of a shift's effect, in units of the size that the reported gradients give a random shift.

    `y` are the outputs at the shifted place.
    """
    return said(record, shift).off(_along(record, y.double() - record.y.double()))


def disagreement_of_sides(record: Record, shift: Shift, ahead: Tensor, behind: Tensor, still: Tensor) -> float:
    """`disagreement` of half the difference between both sides, and what `still` differs from the training by.

    Outputs `ahead` lie where the shift goes, those `behind` where its opposite goes, `still` where the training was.
    """
    reported = said(record, shift)
    measured = _along(record, ahead.double() - behind.double()) / 2
    return reported.off(measured) + reported.off(reported.effect + _along(record, still.double() - record.y.double()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The effect of one shift according to the reported gradients."""

    effect: float  # on <gradient of y, y>
    spread: float  # standard deviation of the effect of a random shift of that size
    rounding: float  # what float32 may change in it

    @property
    def heard(self) -> bool:
        """Whether the effect is above rounding; below it a false gradient would agree as well."""
        return self.spread >= HEARD * self.rounding

    def off(self, measured: float) -> float:
        """How far `measured` lies from it."""
        size = math.hypot(self.spread, self.rounding)
        if size == 0.0:
            return 0.0 if measured == self.effect else math.inf
        return abs(measured - self.effect) / size


def said(record: Record, shift: Shift) -> Said:
    """From the gradients of a record that is complete."""
    assert record.of_y is not None and record.of_x is not None
    effect, variance = 0.0, 0.0
    for gradient, by in zip([record.of_x, *record.of_values], [shift.x, *shift.values], strict=True):
        if gradient is None or by is None:
            continue
        g, moved = real(gradient).double(), real(by).double()
        effect += float((g * moved).sum())
        # A random shift of this size changes the effect by a sum of independent terms g * moved.
        there = moved != 0
        if bool(there.any()):
            variance += float(g[there].square().sum()) * float(moved[there].square().mean())
    rounding = ROUNDING * float((record.of_y.double() * record.y.double()).norm())
    return Said(effect=effect, spread=math.sqrt(variance), rounding=rounding)


def _along(record: Record, change: Tensor) -> float:
    """What a change of y does to <gradient of y, y>."""
    assert record.of_y is not None
    return float((record.of_y.double() * change).sum())
