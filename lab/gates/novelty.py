"""Gate `novelty`: not a mixer that the archive holds already, by its normalised syntax tree or by what it computes.

What it computes: outputs at weights that depend on shapes alone, so that renaming and reordering parameters changes
nothing; a matrix and its transpose get the same numbers and square ones are symmetric, so that transposing a projection
changes nothing either. The output of a token alone and what its past adds are compared separately, each up to scale, so
that a path around the memory does not hide the memory; a part of one per cent of the output counts as none.
Initial values that are equal under all seeds (decays, ones, scales) are kept; random ones and zeros are replaced, so
that mixers whose weights are only drawn from another distribution count as the same, and what begins shut counts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, passed, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from move37.lab.inside.bench import Bench

NAME = "novelty"
CLOSEST_ALLOWED = 0.015  # distance to the nearest known mixer's outputs, which have rms 1
OUTPUTS = 32  # numbers of each part
LENGTH = 48
NOTHING = 1e-9


def measure(bench: Bench) -> RawMeasurement:
    """Numbers of both parts at fixed weights; none when they are random or not finite."""
    if bench.random:
        return RawMeasurement(detail="eval mode draws random numbers", see="purity")
    bench.reseed(known=True)
    others = [bench.build(seed=seed, perturbed=False).parameters for seed in range(1, 8)]
    module = bench.build(seed=0, perturbed=False)
    for number, (name, value) in enumerate(module.parameters.items()):
        drawn = name in others[0] and not _equal(value, others[0][name])
        # Kept: what is equal under all seeds, but for zeros, which would hide what they multiply: a new branch behind
        # a gate that starts shut is new, and a training opens it.
        if not value.is_floating_point() or not (drawn or not value.any()):
            continue
        level = 0.0
        if value.dim() < 2 and drawn:  # where its distribution lies, to half a unit
            level = round(2 * sum(float(other[name].mean()) for other in others[1:]) / len(others[1:])) / 2
        module.values[number] = fixed(value.shape, level=level).to(value.dtype)
    x = bench.inputs(1, LENGTH).to(bench.dtype)
    whole = module(x).double()[0]
    alone = module(x[0, :, None]).double()[:, 0]  # every token as a sequence of its own
    if not whole.isfinite().all() or not whole.any():
        return RawMeasurement(detail="no finite outputs at fixed weights")
    return RawMeasurement(value=0.0, outputs=[*_sample(whole - alone), *_sample(alone)])


def _sample(part: Tensor) -> list[float]:
    """`OUTPUTS` of its numbers, scaled to rms 1; zeros where there is nothing."""
    flat = part.flatten()
    size = float(flat.square().mean().sqrt())
    flat = flat / size if size > NOTHING else flat * 0
    return [round(float(v), 5) for v in flat[:: max(1, len(flat) // OUTPUTS)][:OUTPUTS]]


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool((one == other).all())


def fixed(shape: torch.Size, *, level: float = 0.0) -> Tensor:
    """Numbers that only `shape` decides: scaled normals for matrices, a wave around `level` for vectors.

    A matrix and its transpose have the same numbers, a square one is its own transpose. Dimensions of one do not count.
    """
    import torch

    lengths = [size for size in shape if size != 1]
    if len(lengths) < 2:
        return level + 0.3 * torch.cos(torch.arange(shape.numel(), dtype=torch.float32)).reshape(shape)
    rows, columns = lengths[0], shape.numel() // lengths[0]
    # The seed is a function of the two lengths in either order, so that the transpose gets the same draw.
    generator = torch.Generator().manual_seed(1009 * max(rows, columns) + min(rows, columns))
    numbers = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    if rows == columns:
        numbers = (numbers + numbers.t()) / math.sqrt(2)
    elif rows < columns:
        numbers = numbers.t()
    return (numbers / math.sqrt(64)).reshape(shape)


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """Compare with every fingerprint of the archive; without any, novelty could not run."""
    if not evidence.known:
        return unjudged(NAME, "nothing to compare with yet", CLOSEST_ALLOWED)
    nearest, distance = "", float("inf")
    for known in evidence.known:
        if known.tree == evidence.tree:
            message = f"the same program as {known.experiment}, up to names and comments: change what it computes"
            return failed(NAME, 0.0, CLOSEST_ALLOWED, message)
        if len(known.outputs) == len(raw.outputs) > 0:
            away = max(abs(a - b) for a, b in zip(known.outputs, raw.outputs, strict=True))
            if away < distance:
                nearest, distance = known.experiment, away
    if distance < CLOSEST_ALLOWED:
        message = (
            f"computes the same as {nearest} at the same weights, up to scale and transposition: "
            "change what it computes, not how it is written"
        )
        return failed(NAME, distance, CLOSEST_ALLOWED, message)
    if not nearest:
        return passed(NAME, None, CLOSEST_ALLOWED, f"no program like it among {len(evidence.known)}")
    return passed(NAME, distance, CLOSEST_ALLOWED, f"the nearest of {len(evidence.known)} is {nearest}")


GATE = Gate(name=NAME, measure=measure, judge=judge)
