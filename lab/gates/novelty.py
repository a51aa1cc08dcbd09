"""Gate `novelty`: not a mixer that the archive holds already, by its normalised syntax tree or by what it computes.

What it computes: outputs at weights that depend on shapes alone, so that renaming and reordering parameters hides
nothing. Initial values that no seed changes (decays, ones, scales) are part of the idea and stay; random ones are
replaced. Two mixers that only draw their weights from another distribution count as one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from move37.lab.gates.gate import Evidence, Gate, Reading, failed, passed, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from move37.lab.gates.bench import Bench

NAME = "novelty"
CLOSEST_ALLOWED = 1e-3  # distance to the nearest known mixer's outputs, which have rms 1
OUTPUTS = 24


def measure(bench: Bench) -> Reading:
    """`OUTPUTS` numbers of the mixer at fixed weights, scaled to rms 1; none when they are random or not finite."""
    import torch

    from move37.lab.gates.bench import call

    if bench.random:
        return Reading(detail="eval mode draws random numbers")
    mixer, other = bench.build(seed=0, shaken=False), bench.build(seed=1, shaken=False)
    with torch.no_grad():
        for one, two in zip(mixer.parameters(), other.parameters(), strict=True):
            drawn = not torch.equal(one, two)
            if drawn or (one.dim() > 1 and not one.any()):
                one.copy_(fixed(one.shape, level=_level(bench, mixer, one) if one.dim() < 2 and drawn else 0.0))
    y = call(mixer, bench.inputs(1, 48).to(bench.dtype)).double().flatten()
    if not y.isfinite().all() or not y.any():
        return Reading(detail="no finite outputs at fixed weights")
    y = y / y.square().mean().sqrt()
    return Reading(value=0.0, outputs=[round(float(v), 5) for v in y[:: max(1, len(y) // OUTPUTS)][:OUTPUTS]])


def fixed(shape: torch.Size, *, level: float = 0.0) -> Tensor:
    """Numbers that only `shape` decides: a fan-in scaled normal for matrices, a wave around `level` for vectors."""
    import torch

    if len(shape) > 1:
        seed = sum((place + 1) * 1009 * size for place, size in enumerate(shape))
        fan_in = max(1, shape[1:].numel())
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) / math.sqrt(fan_in)
    return level + 0.3 * torch.cos(torch.arange(shape.numel(), dtype=torch.float32)).reshape(shape)


def _level(bench: Bench, mixer: nn.Module, parameter: Tensor) -> float:
    """The mean of a randomly drawn vector, to half a unit: where its distribution lies, roughly."""
    name = next(name for name, candidate in mixer.named_parameters() if candidate is parameter)
    means = [float(dict(bench.build(seed=s, shaken=False).named_parameters())[name].mean()) for s in range(2, 8)]
    return round(2 * sum(means) / len(means)) / 2


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """Against every fingerprint of the archive; with an empty archive there is nothing to be new against."""
    if not evidence.known:
        return unjudged(NAME, "nothing to compare with yet", CLOSEST_ALLOWED)
    nearest, distance = "", float("inf")
    for known in evidence.known:
        if known.tree == evidence.tree:
            message = f"the same program as {known.experiment}, up to names and comments: change what it computes"
            return failed(NAME, 0.0, CLOSEST_ALLOWED, message)
        if len(known.outputs) == len(reading.outputs) > 0:
            away = max(abs(a - b) for a, b in zip(known.outputs, reading.outputs, strict=True))
            if away < distance:
                nearest, distance = known.experiment, away
    if distance < CLOSEST_ALLOWED:
        message = f"computes the same as {nearest} at the same weights: change what it computes, not how it is written"
        return failed(NAME, distance, CLOSEST_ALLOWED, message)
    if not nearest:
        return passed(NAME, None, CLOSEST_ALLOWED, f"no program like it among {len(evidence.known)}")
    return passed(NAME, distance, CLOSEST_ALLOWED, f"the nearest of {len(evidence.known)} is {nearest}")


GATE = Gate(name=NAME, measure=measure, judge=judge)
