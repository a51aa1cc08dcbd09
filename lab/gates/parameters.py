"""Gate `parameters`: at most 1.05 times the parameters of the largest baseline mixer at the same width.

Real numbers are counted: a complex parameter is two. Bytes are too, buffers included, so that a constant of 8 bytes a
number gives no advantage. Below the limit the MLP's width compensates for the mixer's size (`lab/training/sizes.py`).
Parameters that are created in the first call would not be trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, passed, unjudged
from move37.lab.records import GateResult
from move37.lab.training.sizes import MIXER_MARGIN

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench

NAME = "parameters"
BYTES_A_NUMBER = 4


def measure(bench: Bench) -> RawMeasurement:
    """Real parameters at the task's width, and the bytes of all that would be saved."""
    layers = [bench.build(perturbed=False, drawn=True, number=number).layer for number in (0, bench.layers - 1)]
    size = max(sum(value.numel() * value.element_size() for value in layer.values) for layer in layers)
    return RawMeasurement(value=float(max(layer.parameters for layer in layers)), numbers={"bytes": float(size)})


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """Compare with the largest baseline."""
    if raw.value is None or not evidence.baseline_parameters:
        return unjudged(NAME, "no count, or no baseline to compare with")
    limit = MIXER_MARGIN * evidence.baseline_parameters
    if raw.value > limit:
        over = raw.value / evidence.baseline_parameters
        message = f"{raw.value:.0f} parameters are {over:.2f} times the largest baseline mixer's: at most {limit:.0f}"
        return failed(NAME, raw.value, limit, message)
    if (size := raw.numbers.get("bytes", 0.0)) > BYTES_A_NUMBER * limit:
        most = BYTES_A_NUMBER * limit
        message = f"weights and buffers take {size:.0f} bytes, at most {most:.0f}: register constants persistent=False"
        return failed(NAME, raw.value, limit, message)
    return passed(NAME, raw.value, limit, f"{raw.value:.0f} parameters")


GATE = Gate(name=NAME, measure=measure, judge=judge)
