"""Gate `parameters`: at most 1.05 times the parameters of the largest baseline mixer at the same width.

Below that the MLP's width makes up for what a mixer has more or less (`lab/training/sizes.py`). Parameters that only
appear with the first call are counted too; the weights that training returns are the final count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Evidence, Gate, Reading, failed, passed, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.gates.bench import Bench

NAME = "parameters"
MARGIN = 1.05  # times the largest baseline mixer


def measure(bench: Bench) -> Reading:
    """Parameters at the task's width, after a call."""
    from move37.lab.gates.bench import call

    mixer = bench.build(shaken=False)
    call(mixer, bench.inputs(1, 8).to(bench.dtype))
    return Reading(value=float(sum(parameter.numel() for parameter in mixer.parameters())))


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """Compare with the largest baseline."""
    if reading.value is None or not evidence.baseline_parameters:
        return unjudged(NAME, "no count, or no baseline to compare with")
    limit = MARGIN * evidence.baseline_parameters
    if reading.value > limit:
        over = reading.value / evidence.baseline_parameters
        message = (
            f"{reading.value:.0f} parameters are {over:.2f} times the largest baseline mixer's: at most {limit:.0f}"
        )
        return failed(NAME, reading.value, limit, message)
    return passed(NAME, reading.value, limit, f"{reading.value:.0f} parameters")


GATE = Gate(name=NAME, measure=measure, judge=judge)
