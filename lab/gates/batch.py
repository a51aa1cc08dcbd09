"""Gate `batch`: a row's output depends on that row alone, whatever stands beside it and however many rows there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Evidence, Gate, Reading, failed, passed, rounding_limit, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.gates.bench import Bench

NAME = "batch"
LENGTHS = (1, 97)


def measure(bench: Bench) -> Reading:
    """The largest relative change of row 0 when the others change or go."""
    from move37.lab.gates.bench import difference

    if bench.random:
        return Reading(detail="eval mode draws random numbers; see purity")
    worst, detail = 0.0, ""
    for time in LENGTHS:
        x = bench.inputs(3, time)
        y = bench.run(x)
        if not y.isfinite().all():
            return Reading(detail="outputs are not finite; see finite")
        others = x.clone()
        others[1:] = 4.0 * bench.inputs(3, time, seed=5)[1:]
        cases = {
            "changing the other rows": bench.run(others)[:1],
            "taking the other rows away": bench.run(x[:1]),
            "reversing the rows": bench.run(x.flip(0))[-1:],
        }
        for case, row in cases.items():
            moved = difference(row, y[:1])
            if moved > worst:
                worst, detail = moved, f"{case} changes a row's output"
    return Reading(value=worst, detail=detail, numbers=bench.rounding)


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """A row may move by rounding alone."""
    limit = rounding_limit(reading)
    if reading.value is None:
        return unjudged(NAME, reading.detail, limit)
    if reading.value > limit:
        message = f"rows of a batch depend on each other: {reading.detail}; reduce or normalise within a row only"
        return failed(NAME, reading.value, limit, message)
    return passed(NAME, reading.value, limit, "every row stands alone")


GATE = Gate(name=NAME, measure=measure, judge=judge)
