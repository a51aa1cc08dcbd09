"""Gate `parameters`: at most 1.05 times the parameters of the largest baseline mixer at the same width.

Real numbers are counted, a complex one is two. Persistent buffers count as weights do (but for a few rates): drawn
numbers give an advantage untrained too. Bytes are limited besides, so that a constant of 8 bytes a number gives none.
Below the limit the MLP's width compensates for the mixer's size (`lab/training/sizes.py`). Parameters that are created
in the first call would not be trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, passed, unjudged
from move37.lab.records import GateResult
from move37.lab.training.sizes import BYTES_A_NUMBER, MIXER_MARGIN

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench

NAME = "parameters"


def measure(bench: Bench) -> RawMeasurement:
    """Real numbers at the task's width, and the bytes of all that would be saved."""
    layers = [bench.build(perturbed=False, drawn=True, number=number).layer for number in (0, bench.layers - 1)]
    size = max(layer.saved_bytes for layer in layers)
    return RawMeasurement(value=float(max(layer.parameters for layer in layers)), numbers={"bytes": float(size)})


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """Compare with the largest baseline."""
    if raw.value is None or not evidence.baseline_parameters:
        return unjudged(NAME, "no count, or no baseline to compare with")
    limit = MIXER_MARGIN * evidence.baseline_parameters
    if raw.value > limit:
        over = raw.value / evidence.baseline_parameters
        message = (
            f"{raw.value:.0f} numbers in weights and buffers are {over:.2f} times the largest baseline mixer's "
            f"parameters: at most {limit:.0f}; register what is computed with persistent=False"
        )
        return failed(NAME, raw.value, limit, message)
    if (size := raw.numbers.get("bytes", 0.0)) > BYTES_A_NUMBER * limit:
        most = BYTES_A_NUMBER * limit
        message = f"weights and buffers take {size:.0f} bytes, at most {most:.0f}: register constants persistent=False"
        return failed(NAME, raw.value, limit, message)
    return passed(NAME, raw.value, limit, f"{raw.value:.0f} parameters")


GATE = Gate(name=NAME, measure=measure, judge=judge)
