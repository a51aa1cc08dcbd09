"""Gate `truncation`: `f(x[:t]) == f(x)[:t]`, or decoding gives other outputs than training did.

It looks for what depends on the length (a position divided by it, a mean over all of it); where the future leaks
already, the difference is that leak's and is not judged again. One prefix is also computed in a process that never
held the rest, so that remembering an earlier call does not help.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from move37.lab.gates.gate import Evidence, Gate, Reading, failed, passed, rounding_limit, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.gates.bench import Bench

NAME = "truncation"
CASES = ((97, (1, 2, 33, 64, 96)), (128, (100,)), (300, (97, 256)))  # length, prefixes


def measure(bench: Bench) -> Reading:
    """The largest relative difference between a prefix's outputs and the whole's; and outputs for `bench.given`."""
    from move37.lab.gates.bench import difference

    if bench.random:
        return Reading(detail="eval mode draws random numbers; see purity")
    worst, detail = 0.0, ""
    for time, prefixes in CASES:
        x = bench.inputs(2, time)
        y = bench.run(x)
        if not y.isfinite().all():
            return Reading(detail="outputs are not finite; see finite")
        for prefix in prefixes:
            moved = difference(bench.run(x[:, :prefix]), y[:, :prefix], scale=y)
            if moved > worst:
                worst, detail = moved, f"the first {prefix} of {time} tokens alone"
    return Reading(value=worst, detail=detail, numbers=bench.rounding, outputs=answer(bench))


def answer(bench: Bench) -> list[float]:
    """Outputs for the sequence that the lab drew, flat; empty without one."""
    import torch

    if not bench.given:
        return []
    outputs: list[float] = bench.run(torch.tensor(bench.given)[None]).flatten().tolist()
    return outputs


def judge(reading: Reading, evidence: Evidence) -> GateResult:
    """Both comparisons may differ by rounding alone."""
    limit = rounding_limit(reading)
    if evidence.failed("causality"):
        return unjudged(NAME, "not judged while the future leaks: mend causality first", limit)
    if reading.value is None:
        return unjudged(NAME, reading.detail, limit)
    if reading.value > limit:
        message = f"the outputs for {reading.detail} differ from those within the whole: do not use the total length"
        return failed(NAME, reading.value, limit, message)
    apart = _apart(reading, evidence)
    if apart > limit and not evidence.failed("purity") and not evidence.failed("determinism"):
        message = "a prefix alone in a fresh process gives other outputs: nothing may be remembered between calls"
        return failed(NAME, apart, limit, message)
    return passed(NAME, max(reading.value, apart), limit, "a prefix alone gives the same outputs")


def _apart(reading: Reading, evidence: Evidence) -> float:
    """Relative difference between the whole's outputs and those of the process that held only the prefix."""
    alone = evidence.alone
    if alone is None or not alone.outputs:
        return 0.0
    whole = reading.outputs
    if len(whole) < len(alone.outputs):
        return float("inf")
    size = math.sqrt(sum(value * value for value in whole) / len(whole)) + 1e-12
    return max(abs(a - b) for a, b in zip(whole, alone.outputs, strict=False)) / size


GATE = Gate(name=NAME, measure=measure, judge=judge, after=("causality", "purity", "determinism"))
