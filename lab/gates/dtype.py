"""Gate `dtype`: runs in float32, float64 and bfloat16, gives back what it was given, and computes in no less.

That a dtype is ignored inside (`x.to(torch.bfloat16)` and back) shows in how outputs follow small changes of the
input: two steps of different size must give nearly the same derivative, and rounding to eight bits gives none.
Casting up to accumulate changes nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.gates.gate import Evidence, Gate, Reading, failed, passed
from lab.records import GateResult

if TYPE_CHECKING:
    import torch

    from lab.gates.bench import Bench

NAME = "dtype"
FAILURES_ALLOWED = 0.0
STEPS = (1e-4, 1e-3)  # relative changes of the input; bfloat16 rounds at 4e-3, float32 at 6e-8
MISMATCH = 0.5  # of the two derivatives, relative; some directions cross a kink, so the best of three counts
DIRECTIONS = 3


def measure(bench: Bench) -> Reading:
    """Count the dtypes that crash, come back as another, or are ignored; crashes are told in words."""
    from lab.gates.bench import DTYPES

    wrong, traceback = [], ""
    for name, dtype in DTYPES.items():
        complaint, frames = _try(bench, name, dtype)
        if complaint:
            wrong.append(complaint)
            traceback = traceback or frames
    if not wrong:
        mismatch = _mismatch(bench)
        if mismatch > MISMATCH:
            wrong.append("float64 in is float64 out, but it is rounded to a short dtype on the way")
    return Reading(value=float(len(wrong)), detail="; ".join(wrong), traceback=traceback)


def _try(bench: Bench, name: str, dtype: torch.dtype) -> tuple[str, str]:
    """What is wrong with one dtype, in words, and the candidate's frames."""
    import torch

    from lab.gates.bench import checked, guarded
    from lab.gates.faults import frames_of, one_line

    x = bench.inputs(2, 65).to(dtype)
    try:
        mixer = bench.build(dtype=dtype).train()
        with guarded():
            torch.manual_seed(0)
            y = checked(mixer(x.clone()))
            if y.requires_grad:
                y.float().square().mean().backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        return f"{name} fails: {one_line(error)}", frames_of(error)
    if y.dtype != dtype:
        return f"{name} in is {str(y.dtype).removeprefix('torch.')} out", ""
    if not y.isfinite().all() and bench.run(x.float()).isfinite().all():
        return f"{name} gives numbers that are not finite", ""
    return "", ""


def _mismatch(bench: Bench) -> float:
    """Relative difference of two directional derivatives in float64: near 0 unless the input is rounded inside."""
    if bench.random:
        return 0.0
    x = bench.inputs(2, 65).double()
    y = bench.run(x)
    best = float("inf")
    for seed in range(DIRECTIONS):
        u = x * bench.inputs(2, 65, seed=20 + seed).double().clamp(-1, 1)
        small, large = ((bench.run(x + step * u) - y) / step for step in STEPS)
        size = float(large.abs().mean())
        best = min(best, float((small - large).abs().mean()) / size if size > 0 else 0.0)
    return best


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """No dtype may fail."""
    if reading.value:
        message = f"{reading.detail}: take dtype and device from x, and cast up only to accumulate"
        return failed(NAME, reading.value, FAILURES_ALLOWED, message, reading.traceback)
    return passed(NAME, 0.0, FAILURES_ALLOWED, "float32, float64 and bfloat16 are kept")


GATE = Gate(name=NAME, measure=measure, judge=judge)
