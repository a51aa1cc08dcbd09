"""Gate `determinism`: the same seed twice gives the same weights, outputs and gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Evidence, Gate, Reading, failed, passed, rounding_limit, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from torch import Tensor

    from move37.lab.gates.bench import Bench

NAME = "determinism"
SEED = 7


def measure(bench: Bench) -> Reading:
    """The largest relative difference between two runs of one seed, in training mode."""
    import torch

    from move37.lab.gates.bench import difference

    first = _once(bench)
    torch.randn(1000)  # whatever was drawn before must not matter
    second = _once(bench)
    worst, detail = 0.0, ""
    for name in first:
        if name not in second:
            return Reading(value=1.0, detail=f"{name} is there only once")
        a, b = first[name], second[name]
        if torch.equal(a, b) or not (a.isfinite().all() and b.isfinite().all()):
            continue
        moved = difference(b, a)
        if moved > worst:
            worst, detail = moved, name
    return Reading(value=min(worst, 1e9), detail=detail, numbers=bench.rounding if worst else {})


def _once(bench: Bench) -> dict[str, Tensor]:
    """Weights, output and gradients under `SEED`."""
    import torch

    from move37.lab.gates.bench import checked, guarded

    mixer = bench.build(seed=SEED, shaken=False, drawn=True).train()
    x = bench.inputs(2, 97).to(bench.dtype)
    with guarded():
        torch.manual_seed(SEED)
        y = checked(mixer(x.clone()))
        if y.requires_grad:
            y.float().square().mean().backward()  # type: ignore[no-untyped-call]
    found = {f"the initial {name}": p.detach() for name, p in mixer.named_parameters()}
    found |= {f"the gradient of {name}": p.grad for name, p in mixer.named_parameters() if p.grad is not None}
    return {"the output": y.detach()} | found


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """Two runs may differ by rounding alone."""
    limit = rounding_limit(reading)
    if reading.value is None:
        return unjudged(NAME, reading.detail, limit)
    if reading.value > limit:
        message = f"one seed gives two results ({reading.detail}): draw with torch's default generator and seed nothing"
        return failed(NAME, reading.value, limit, message)
    return passed(NAME, reading.value, limit, "one seed, one result")


GATE = Gate(name=NAME, measure=measure, judge=judge)
