"""Gate `shape`: [batch, time, d_model] in, the same out, at sizes that are awkward for chunks, heads and widths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, passed
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench

NAME = "shape"
FAILURES_ALLOWED = 0.0
# (batch, time, d_model, n_heads): one row, one token, primes, around a chunk of 64; twice the width, other heads
SIZES = (
    (2, 64, 64, 4),
    (1, 1, 64, 4),
    (3, 1, 64, 4),
    (1, 2, 64, 4),
    (1, 63, 64, 4),
    (2, 65, 64, 4),
    (1, 131, 64, 4),
    (1, 300, 64, 4),
    (2, 33, 64, 2),
    (2, 33, 128, 4),
)


def measure(bench: Bench) -> RawMeasurement:
    """Count the sizes at which the output has another shape; of an exception, those that went well before it."""
    from move37.lab.inside.remote import CandidateDied, CandidateFault

    wrong = []
    for went_well, (batch, time, d_model, n_heads) in enumerate(SIZES):
        module = bench.build(d_model=d_model, n_heads=n_heads)
        x = bench.inputs(batch, time, d_model=d_model).to(bench.dtype)
        try:
            y = module(x)
        except CandidateFault as fault:
            fault.line += f" (while x was [batch={batch}, time={time}, d_model={d_model}] with n_heads={n_heads})"
            if isinstance(fault, CandidateDied) or not went_well:
                raise
            return RawMeasurement(value=float(went_well), crash=fault.line, traceback=fault.traceback)
        if y.shape != x.shape:
            wrong.append(f"{list(x.shape)} became {list(y.shape)}")
    return RawMeasurement(value=float(len(wrong)), detail="; ".join(wrong))


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """No size may fail. The value is None where no size went well, so that nobody knows what the mixer computes."""
    if raw.crash:
        wrong = None if raw.value is None else len(SIZES) - raw.value
        return failed(NAME, wrong, FAILURES_ALLOWED, f"forward failed: {raw.crash}", raw.traceback)
    if raw.value:
        message = f"the output must have the shape of the input, but {raw.detail}"
        return failed(NAME, raw.value, FAILURES_ALLOWED, message)
    return passed(NAME, 0.0, FAILURES_ALLOWED, f"shapes kept at {len(SIZES)} awkward sizes")


GATE = Gate(name=NAME, measure=measure, judge=judge)
