"""Gate `dtype`: runs in float32, float64 and bfloat16, gives back what it was given, and computes in no less.

That a dtype is ignored inside (`x.to(torch.bfloat16)` and back) shows in how outputs follow small changes of the
input (`Bench.short`). Casting up to accumulate changes nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Evidence, Gate, Reading, failed, passed
from move37.lab.records import GateResult

if TYPE_CHECKING:
    import torch

    from move37.lab.gates.bench import Bench

NAME = "dtype"
FAILURES_ALLOWED = 0.0


def measure(bench: Bench) -> Reading:
    """Count the dtypes that crash, come back as another, or are ignored; crashes are told in words."""
    from move37.lab.gates.bench import DTYPES

    wrong, traceback = [], ""
    for name, dtype in DTYPES.items():
        complaint, frames = _try(bench, name, dtype)
        if complaint:
            wrong.append(complaint)
            traceback = traceback or frames
    if not wrong and bench.short:
        wrong.append("float64 in is float64 out, but it is rounded to a short dtype on the way")
    return Reading(value=float(len(wrong)), detail="; ".join(wrong), traceback=traceback)


def _try(bench: Bench, name: str, dtype: torch.dtype) -> tuple[str, str]:
    """What is wrong with one dtype, in words, and the candidate's frames."""
    import torch

    from move37.lab.gates.bench import checked, guarded
    from move37.lab.inside.tracebacks import frames_of, one_line

    x = bench.inputs(2, 65).to(dtype)
    try:
        mixer = bench.build(dtype=dtype).train()
        with guarded():
            torch.manual_seed(0)
            y = checked(mixer(x.clone()))
            if y.requires_grad:
                y.float().square().mean().backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        if bench.dtype is dtype:
            raise  # not a matter of dtypes
        return f"{name} fails: {one_line(error)}", frames_of(error)
    if y.dtype != dtype:
        return f"{name} in is {str(y.dtype).removeprefix('torch.')} out", ""
    if not y.isfinite().all() and bench.run(x).isfinite().all():
        return f"{name} gives numbers that are not finite", ""
    return "", ""


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """No dtype may fail."""
    if reading.value:
        message = f"{reading.detail}: take dtype and device from x, and cast up only to accumulate"
        return failed(NAME, reading.value, FAILURES_ALLOWED, message, reading.traceback)
    return passed(NAME, 0.0, FAILURES_ALLOWED, "float32, float64 and bfloat16 are kept")


GATE = Gate(name=NAME, measure=measure, judge=judge)
