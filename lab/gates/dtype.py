"""Gate `dtype`: runs in float32, float64 and bfloat16, returns the dtype of its input, and computes with no fewer bits.

A dtype that is ignored inside (`x.to(torch.bfloat16)` and back) is found by how outputs follow small changes of the
input (`Bench.short`), in float32 and in float64. Casting up to accumulate changes nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import NOT_FINITE, Gate, GateEvidence, RawMeasurement, failed, passed, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    import torch

    from move37.lab.inside.bench import Bench

NAME = "dtype"
FAILURES_ALLOWED = 0.0
NO_NUMBERS = "gives numbers that are not finite"


def measure(bench: Bench) -> RawMeasurement:
    """Count the dtypes that crash, come back as another, or are ignored; crashes are told in words."""
    from move37.lab.inside.bench import DTYPES

    wrong, traceback = [], ""
    for name, dtype in DTYPES.items():
        complaint, frames = _try(bench, name, dtype)
        if complaint and complaint.endswith(NO_NUMBERS) and dtype is bench.dtype:
            return NOT_FINITE
        if complaint:
            wrong.append(complaint)
            traceback = traceback or frames
    if not wrong and bench.short:
        wrong.append("float32 or float64 in is the same out, but it is rounded to a short dtype on the way")
    return RawMeasurement(value=float(len(wrong)), detail="; ".join(wrong), traceback=traceback)


def _try(bench: Bench, name: str, dtype: torch.dtype) -> tuple[str, str]:
    """What is wrong with one dtype, in words, and the candidate's frames."""
    from move37.lab.inside.remote import CandidateDied, CandidateFault

    x = bench.inputs(2, 65).to(dtype)
    try:
        module = bench.build(dtype=dtype)
        y = module(x, train=True, mode="grad")
        module.backward(y * 2 / y.numel())
    except CandidateDied:
        raise
    except CandidateFault as fault:
        if bench.dtype is dtype:
            raise  # not a matter of dtypes
        return f"{name} fails: {fault.line}", fault.traceback
    if y.dtype != dtype:
        return f"{name} in is {str(y.dtype).removeprefix('torch.')} out", ""
    if not y.isfinite().all():
        return f"{name} {NO_NUMBERS}", ""
    return "", ""


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """No dtype may fail."""
    if raw.value is None:
        return unjudged(NAME, raw.detail, FAILURES_ALLOWED)
    if raw.value:
        message = f"{raw.detail}: take dtype and device from x, and cast up only to accumulate"
        return failed(NAME, raw.value, FAILURES_ALLOWED, message, raw.traceback)
    return passed(NAME, 0.0, FAILURES_ALLOWED, "float32, float64 and bfloat16 are kept")


GATE = Gate(name=NAME, measure=measure, judge=judge)
