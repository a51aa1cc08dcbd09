"""Checks that a candidate's reported gradients are those of its outputs, with fresh processes.

At steps that the trusted process draws, a fresh process computes outputs once, by a request that looks like a
training's first forward pass, so that it cannot tell a check from a training. Its weights (or inputs) are those of the
training, shifted a little along a random direction. The change of <gradient of y, y> must agree with what the reported
gradients predict along that direction; outputs that depend on memory or on another layer disagree as false gradients
do. That process is built under another seed, and its mixers are asked for each other's layers: what a mixer drew and
registered nowhere, or does in one layer alone, disagrees too.
A disagreement there is not yet a fault, because curvature causes some. Then further processes compute outputs at the
training's own point and on both sides of it, at smaller and smaller shifts: the two sides cancel curvature, and at its
own point a candidate must repeat the training's outputs. The direction stays the same: there is no second draw.

Read `Checks`; what a shift's effect is measured against stands in `shifts`. A mixer that wants another backward
(straight-through and the like) declares it (`custom_backward` in the contract); then nothing is moved, outputs alone
are compared, and every number of it says so.
Not covered: a step that was not drawn. With n checks, a backward that is false on a share s of the steps escapes with
about (1 - s) ** n; a tensor whose gradient is lost in rounding can be false.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from move37.lab.inside.remote import Forward, Record, Remote
from move37.lab.inside.shifts import Shift, audible, disagreement, disagreement_of_sides, said, scaled
from move37.lab.inside.tensors import like, moves, real, rms
from move37.lab.training.contract import ContractError

STEP = 2.5e-4  # of a shift, relative to a tensor's rms; eight times that accused norms of small states (.37)
CLOSER = (1.0, 1 / 4, 1 / 16)  # of that, where the first look disagrees: what a norm of an all but empty state bends by
SPREAD = 1.0  # powers of ten over which the tensors' shares of one shift are drawn
TOLERANCE = 0.2  # of the disagreement, in standard deviations of what a random direction gives
REPLAY_TOLERANCE = 1e-3  # of the outputs' rms
ON_INPUT = 1 / 3  # share of checks that shift the input instead of the weights
QUIET = 1 / 2  # share of the checks of one tensor (or of the input) that move only what its gradient calls quiet
ALONE = 1 / 2  # share of the others that shift one tensor only: beside a loud one a false gradient would not be heard
EXPECTED, SHARE = 7.0, 0.02  # checks in a training: so many on average, or this share of its steps


def drawn_steps(first: int, stop: int, draw: random.Random) -> frozenset[int]:
    """Which steps of a training are checked: each with a probability of its own, and at least one.

    Timing tells a candidate when it was checked; with a fixed number of checks it would know when the last was over.
    """
    share = max(SHARE, EXPECTED / max(1, stop - first))
    drawn = frozenset(step for step in range(first, stop) if draw.random() < share)
    return drawn or frozenset([draw.randrange(first, stop)] if stop > first else [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Checks one step at a time. `fresh` makes a process in which the mixers were built under another seed."""

    fresh: Callable[[], Remote]
    shifts: bool  # False where the mixer declares another backward
    draw: random.Random

    def check(self, step: int, records: Sequence[Record]) -> None:
        """Raises `ContractError` where the records of one training step (a record a layer) are not to be believed."""
        for number, off in enumerate(self.disagreements(records)):
            if off <= (TOLERANCE if self.shifts else REPLAY_TOLERANCE):
                continue
            if not self.shifts:
                raise ContractError(
                    f"at training step {step} a fresh process with the same weights gives other outputs in layer "
                    f"{number} (by {off:.2g} of their rms): nothing may be remembered between calls or layers, nor "
                    "kept outside weights and buffers"
                )
            raise ContractError(
                f"at training step {step} the gradients of layer {number} are not those of its forward pass (off by "
                f"{off:.2g} of what a random direction gives, {TOLERANCE} is allowed): leave backward to autograd "
                "or declare another (or a hard choice) in `custom_backward`; keep nothing between calls or outside "
                "weights and buffers"
            )

    def disagreements(self, records: Sequence[Record]) -> list[float]:
        """One number a layer."""
        on_input = self.draw.random() < ON_INPUT
        shifts = [self.shift(record, on_input=on_input) for record in records] if self.shifts else []
        order = self._order(len(records))
        if not self.shifts:
            return [_apart(record.y, y) for record, y in zip(records, self._still(records, order), strict=True)]
        outputs = self._outputs(records, shifts, order)
        found = [disagreement(r, shift, y) for r, shift, y in zip(records, shifts, outputs, strict=True)]
        return found if max(found) <= TOLERANCE else self._from_both_sides(records, shifts, outputs, order)

    def _order(self, count: int) -> list[int]:
        """Which layer each built mixer is asked for, in one check: not its own, where there is another."""
        order = self.draw.sample(range(count), count)
        return order if order != sorted(order) else [*order[1:], *order[:1]]

    def _from_both_sides(
        self, records: Sequence[Record], shifts: Sequence[Shift], first: list[Tensor], order: Sequence[int]
    ) -> list[float]:
        """The least of a layer's disagreements: that of the first look, and those of both sides at each distance."""
        still = self._still(records, order)
        found = [disagreement(*of) for of in zip(records, shifts, first, strict=True)]
        for closer in CLOSER:
            nearer = [scaled(shift, closer) for shift in shifts]
            ahead = first if closer == 1.0 else self._outputs(records, nearer, order)
            behind = self._outputs(records, [scaled(shift, -1.0) for shift in nearer], order)
            for i, of in enumerate(zip(records, nearer, ahead, behind, still, strict=True)):
                if closer == 1.0 or said(*of[:2]).heard:
                    found[i] = min(found[i], disagreement_of_sides(*of))
            if max(found) <= TOLERANCE:
                break
        return found

    def _still(self, records: Sequence[Record], order: Sequence[int]) -> list[Tensor]:
        """Outputs of a fresh process at the training's own point."""
        return self._outputs(records, [Shift(x=None, values=[None] * len(record.values)) for record in records], order)

    def _outputs(self, records: Sequence[Record], shifts: Sequence[Shift], order: Sequence[int]) -> list[Tensor]:
        found: dict[int, Tensor] = {}
        remote = self.fresh()
        try:
            for number, layer in enumerate(order):
                record, shift = records[layer], shifts[layer]
                found[layer] = remote.forward(
                    number, _moved(record.x, shift.x), Forward(train=True, mode="grad", seed=record.seed),
                    [_moved(value, by) for value, by in zip(record.values, shift.values, strict=True)],
                )  # fmt: skip
        finally:
            remote.end()
        return [found[layer] for layer in range(len(records))]

    def shift(self, record: Record, *, on_input: bool) -> Shift:
        """A random direction, scaled to the first shift."""
        return audible(record, self._direction(record, on_input=on_input))

    def _direction(self, record: Record, *, on_input: bool) -> Shift:
        generator = torch.Generator().manual_seed(self.draw.getrandbits(62))

        def along(tensor: Tensor, typical: float) -> Tensor:
            size: float = STEP * (rms(tensor) or typical) * 10.0 ** self.draw.uniform(-SPREAD, 0.0)
            noise = torch.randn(real(tensor).shape, generator=generator, dtype=torch.float64)
            return like(size * noise, tensor)

        if on_input:
            return Shift(x=self._quiet(along(record.x, 1.0), record.of_x), values=[None] * len(record.values))
        typical = max((rms(v) for v in record.values if moves(v)), default=0.0) or 1.0
        moving = [moves(v) and g is not None for v, g in zip(record.values, record.of_values, strict=True)]
        if any(moving) and self.draw.random() < ALONE:
            only = self.draw.choice([i for i, there in enumerate(moving) if there])
            quiet = self._quiet(along(record.values[only], typical), record.of_values[only])
            return Shift(x=None, values=[quiet if i == only else None for i in range(len(moving))])
        values = [along(value, typical) if there else None for value, there in zip(record.values, moving, strict=True)]
        return Shift(x=None, values=values)

    def _quiet(self, shift: Tensor, gradient: Tensor | None) -> Tensor:
        """Now and then only where the reported gradient is small: loud numbers of the same tensor hide nothing then.

        A false small gradient of a number that matters is then found by the difference that shifting it makes.
        """
        if gradient is None or self.draw.random() >= QUIET:
            return shift
        size = gradient.abs().double()
        count = max(1, round(size.numel() * self.draw.uniform(0.2, 0.8)))
        limit = size.flatten().kthvalue(count).values
        still: Tensor = torch.where(size <= limit, shift, torch.zeros_like(shift))
        return still


def _moved(tensor: Tensor, by: Tensor | None) -> Tensor:
    if by is None:
        return tensor
    moved: Tensor = tensor + by
    return moved


def _apart(one: Tensor, other: Tensor) -> float:
    size = rms(one) + 1e-12
    return float((one.double() - other.double()).abs().max()) / size
