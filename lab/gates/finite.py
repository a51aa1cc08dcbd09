"""Gate `finite`: outputs, loss and gradients are finite at initialisation, also where tokens repeat.

A run of equal tokens gives equal keys: the case in which a badly solved delta rule explodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Evidence, Gate, Reading, failed, passed
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.gates.bench import Bench

NAME = "finite"
FAILURES_ALLOWED = 0.0
CASES = ((2, 97, False), (2, 97, True), (1, 1, False), (1, 300, False))  # batch, time, whether all tokens are equal


def measure(bench: Bench) -> Reading:
    """Count the cases with a number that is not finite."""
    import torch

    from move37.lab.gates.bench import checked, guarded

    wrong = []
    for batch, time, repeated in CASES:
        mixer = bench.build(shaken=False).train()
        x = bench.inputs(batch, time).to(bench.dtype)
        x = (x[:, :1].expand_as(x) if repeated else x).clone().requires_grad_()
        with guarded():
            torch.manual_seed(0)
            y = checked(mixer(x * 1.0))  # not the leaf: an in-place change of the input is for `purity` to find
            loss = (y * bench.inputs(batch, time, seed=9).to(y)).mean()
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
        where = f"with {time} token{'s' * (time > 1)}{' that are all equal' * repeated}"
        if not y.isfinite().all():
            wrong.append(f"the output is not finite {where}")
        bad = [name for name, p in mixer.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
        if x.grad is not None and not x.grad.isfinite().all():
            bad.append("x")
        if bad and y.isfinite().all():
            wrong.append(f"the gradient of {', '.join(bad[:4])} is not finite {where}")
    return Reading(value=float(len(wrong)), detail="; ".join(wrong))


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """No case may fail; an exception in backward is this gate's too."""
    if reading.crash:
        return failed(NAME, None, FAILURES_ALLOWED, f"training step failed: {reading.crash}", reading.traceback)
    if reading.value:
        return failed(NAME, reading.value, FAILURES_ALLOWED, f"{reading.detail}: look for a division, log, exp or norm")
    return passed(NAME, 0.0, FAILURES_ALLOWED, "outputs and gradients are finite")


GATE = Gate(name=NAME, measure=measure, judge=judge)
