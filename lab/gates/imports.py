"""Gate `import`: the file is Python, keeps to the allowed imports, defines `Mixer`, and builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, passed
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench

NAME = "import"
ERRORS_ALLOWED = 0.0


def measure(bench: Bench) -> RawMeasurement:
    """Execute the file and build `Mixer(d_model, n_heads)`; exceptions are the measurement."""
    import torch

    bench.build(dtype=torch.float32, perturbed=False)
    return RawMeasurement(value=0.0)


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """Any exception on the way fails."""
    if raw.crash:
        return failed(NAME, 1.0, ERRORS_ALLOWED, raw.crash, raw.traceback)
    return passed(NAME, 0.0, ERRORS_ALLOWED, "the file imports and Mixer builds")


GATE = Gate(name=NAME, measure=measure, judge=judge)
