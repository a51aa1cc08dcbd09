"""Gate `finite`: weights, outputs, loss and gradients are finite at initialisation, also where tokens repeat.

A run of equal tokens gives equal keys: the case in which a badly solved delta rule explodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, passed
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench

NAME = "finite"
FAILURES_ALLOWED = 0.0
CASES = ((2, 97, False), (2, 97, True), (1, 1, False), (1, 300, False))  # batch, time, whether all tokens are equal


def measure(bench: Bench) -> RawMeasurement:
    """Count the cases with a number that is not finite."""
    wrong = []
    for batch, time, repeated in CASES:
        module = bench.build(perturbed=False)
        x = bench.inputs(batch, time).to(bench.dtype)
        x = (x[:, :1].expand_as(x) if repeated else x).clone()
        y = module(x, train=True, mode="grad")
        of_x, gradients = module.backward(bench.inputs(batch, time, seed=9).to(y) / y.numel())
        where = f"with {time} token{'s' * (time > 1)}{' that are all equal' * repeated}"
        if not y.isfinite().all():
            wrong.append(f"the output is not finite {where}")
        if name := next((name for name, value in module.parameters.items() if not value.isfinite().all()), None):
            return RawMeasurement(value=1.0, detail=f"the initial {name} is not finite")
        bad = [name for name, gradient in gradients.items() if gradient is not None and not gradient.isfinite().all()]
        if of_x is not None and not of_x.isfinite().all():
            bad.append("x")
        if bad and y.isfinite().all():
            wrong.append(f"the gradient of {', '.join(bad[:4])} is not finite {where}")
    return RawMeasurement(value=float(len(wrong)), detail="; ".join(wrong))


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """No case may fail; an exception in backward is this gate's too."""
    if raw.crash:
        return failed(NAME, None, FAILURES_ALLOWED, f"training step failed: {raw.crash}", raw.traceback)
    if raw.value:
        return failed(NAME, raw.value, FAILURES_ALLOWED, f"{raw.detail}: look for a division, log, exp or norm")
    return passed(NAME, 0.0, FAILURES_ALLOWED, "outputs and gradients are finite")


GATE = Gate(name=NAME, measure=measure, judge=judge)
