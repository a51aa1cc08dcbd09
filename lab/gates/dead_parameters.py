"""Gate `dead_parameters`: a gradient reaches every parameter, and the input.

Rows of a matrix are judged one by one (half of a projection may be unused), single numbers are not: a clamp may give
one of them no gradient for a while. Weights are perturbed first, so that an output projection of zeros hides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import NOT_FINITE, Gate, GateEvidence, RawMeasurement, failed, passed, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from torch import Tensor

    from move37.lab.inside.bench import Bench

NAME = "dead_parameters"
DEAD_ALLOWED = 0.0
CASES = ((2, 97, 0), (2, 97, 1), (1, 300, 2))  # batch, time, seed
SHARE = 0.125  # of a matrix's rows that may get no gradient by chance


def measure(bench: Bench) -> RawMeasurement:
    """Count parameters (numbers, not tensors) that no gradient reaches; without a path from x, every one."""
    alive: dict[str, Tensor] = {}
    sizes: dict[str, int] = {}
    sees_input = False
    for batch, time, seed in CASES:
        found = _gradients(bench, batch, time, seed)
        if found is None:
            return NOT_FINITE
        gradients, of_input = found
        sees_input |= of_input
        for name, (size, touched) in gradients.items():
            sizes[name] = size
            alive[name] = touched | alive[name] if name in alive else touched
    dead = {name: sizes[name] * (1 - _share(touched)) for name, touched in alive.items()}
    dead = {name: count for name, count in dead.items() if count > SHARE * sizes[name] or not alive[name].any()}
    named = [f"{name} ({count:.0f} of {sizes[name]})" for name, count in dead.items()]
    if not sees_input:
        return RawMeasurement(
            value=float(sum(sizes.values())), detail="x itself: the output does not depend on the input"
        )
    return RawMeasurement(value=float(round(sum(dead.values()))), detail=", ".join(named[:6]))


def _gradients(bench: Bench, batch: int, time: int, seed: int) -> tuple[dict[str, tuple[int, Tensor]], bool] | None:
    """For every parameter its size and which of its rows got a gradient; and whether x got one. None: no numbers."""
    import torch

    module = bench.build(seed=seed)
    y = module(bench.inputs(batch, time, seed=seed).to(bench.dtype), draw=seed, train=True, mode="grad")
    of_x, gradients = module.backward(bench.inputs(batch, time, seed=seed + 50).to(y))
    found = {}
    for name, parameter in module.parameters.items():
        gradient = gradients.get(name)
        gradient = torch.zeros_like(parameter) if gradient is None else gradient
        rows = gradient.flatten(1) if gradient.dim() > 1 else gradient.reshape(1, -1)
        found[name] = parameter.numel(), (rows != 0).any(dim=1)
        if not gradient.isfinite().all():
            return None
    return found, of_x is not None and bool((of_x != 0).any())


def _share(touched: Tensor) -> float:
    return float(touched.float().mean()) if touched.numel() else 1.0


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """None may be dead."""
    if raw.value is None:
        return unjudged(NAME, raw.detail, DEAD_ALLOWED)
    if raw.value:
        longest = max(time for _, time, _ in CASES)
        message = (
            f"no gradient reaches {raw.detail} within {longest} tokens: use it, remove it, or make a constant of it "
            "(register_buffer)"
        )
        return failed(NAME, raw.value, DEAD_ALLOWED, message)
    return passed(NAME, 0.0, DEAD_ALLOWED, "a gradient reaches every parameter")


GATE = Gate(name=NAME, measure=measure, judge=judge)
