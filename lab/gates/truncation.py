"""Gate `truncation`: `f(x[:t]) == f(x)[:t]`; otherwise decoding would give other outputs than training.

It finds outputs that depend on the length (a position divided by it, a mean over all of it); where `causality` failed,
the difference is explained by that and not judged again. Every prefix of a training window is computed, the shortest
first, in a process that never had the rest, so that remembering earlier calls does not help. Lengths have inputs of
their own, so one process serves all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import (
    NOT_FINITE,
    Gate,
    GateEvidence,
    RawMeasurement,
    failed,
    passed,
    rounding_limit,
    unjudged,
)
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench

NAME = "truncation"
_EXPLAINED = {
    "causality": "the future leaks",
    "purity": "equal calls differ",
    "determinism": "one seed gives two results",
}
EVERY_PREFIX = 128  # the length of a training window
SOME_PREFIXES = ((97, 4), (300, 3))  # length, how many prefixes
LEAST, MOST, DRAWN = 129, 256, 4  # a length that is drawn anew between the first two, and how many prefixes


def measure(bench: Bench) -> RawMeasurement:
    """The largest relative difference between a prefix's outputs and the whole's."""
    if bench.random:
        return RawMeasurement(detail="eval mode draws random numbers; see purity", see="purity")
    worst, detail = 0.0, ""
    for time, count in ((EVERY_PREFIX, EVERY_PREFIX - 1), *SOME_PREFIXES, (bench.draw.randint(LEAST, MOST), DRAWN)):
        x = bench.noise(1, time)
        y = bench.run(x)
        if not y.isfinite().all():
            return NOT_FINITE
        module = bench.build(process="prefixes")
        for prefix in sorted(bench.draw.sample(range(1, time), count)):
            moved = bench.difference(module(x[:, :prefix].to(bench.dtype)), y[:, :prefix], scale=y)
            if moved > worst:
                worst, detail = moved, f"the first {prefix} of {time} tokens alone, in a process of their own,"
    return RawMeasurement(value=worst, detail=detail, numbers=bench.rounding)


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """Both comparisons may differ by rounding alone."""
    limit = rounding_limit(raw)
    for other, why in _EXPLAINED.items():
        if evidence.failed(other):
            return unjudged(NAME, f"not judged while {why}: correct {other} first", limit)
    if raw.value is None:
        return unjudged(NAME, raw.detail, limit)
    if raw.value > limit:
        message = (
            f"the outputs for {raw.detail} differ from those within the whole: do not use the total length, and "
            "remember nothing between calls"
        )
        return failed(NAME, raw.value, limit, message)
    return passed(NAME, raw.value, limit, "a prefix alone gives the same outputs")


GATE = Gate(name=NAME, measure=measure, judge=judge, after=("causality", "purity", "determinism"))
