"""Gate `causality`: changing the future must not change the past.

Inputs from a cut on are replaced by larger ones; outputs before the cut are compared. Lengths on both sides of
common chunk sizes are tried, since some leaks start at the second chunk, and the length at which is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Evidence, Gate, Reading, failed, passed, rounding_limit, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.gates.bench import Bench

NAME = "causality"
CASES = ((24, (1, 12)), (97, (1, 33, 64, 96)), (128, (100,)), (300, (64, 150, 256, 299)))  # length, cuts
LOUDNESS = 4.0  # of the changed inputs, against 1


def measure(bench: Bench) -> Reading:
    """The largest relative change of an output before the cut."""
    from move37.lab.gates.bench import difference

    worst, detail = 0.0, ""
    for time, cuts in CASES:
        x = bench.inputs(2, time)
        y = bench.run(x)
        if not y.isfinite().all():
            return Reading(detail="outputs are not finite")
        for cut in cuts:
            changed = x.clone()
            changed[:, cut:] = LOUDNESS * bench.inputs(2, time, seed=cut)[:, cut:]
            past = bench.run(changed)[:, :cut]
            moved = difference(past, y[:, :cut], scale=y)
            if moved > worst:
                first = int((past - y[:, :cut]).abs().amax(dim=(0, 2)).argmax())
                worst, detail = moved, f"inputs from position {cut} on reach the output at position {first} of {time}"
    return Reading(value=worst, detail=detail, numbers=bench.rounding)


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """Past outputs may move by rounding alone."""
    limit = rounding_limit(reading)
    if reading.value is None:
        return unjudged(NAME, f"{reading.detail}; see finite", limit)
    if reading.value > limit:
        message = f"the future leaks into the past: {reading.detail}; use inputs 0..t alone for output t"
        return failed(NAME, reading.value, limit, message)
    return passed(NAME, reading.value, limit, "no output depends on later inputs")


GATE = Gate(name=NAME, measure=measure, judge=judge)
