"""Gate `batch`: a row's output depends on that row alone, not on the other rows or on their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, passed, rounding_limit, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench

NAME = "batch"
WINDOW = 128  # of which a training has 16, a scoring 32; these are asked with inputs that repeat, as text does
CASES = ((1, (2, 3, 4, 16)), (97, (2, 3, 4)), (WINDOW, (16, 32)))  # length, rows
DRAWN = (2, 256), (2, 40)  # least and most of a length and of rows that are drawn anew
FAR = (300, 1024), (8, 16)  # likewise of one look beyond, where a mixer could be another one than `complexity` counted
OTHERS = 4.0  # scale of the other rows, against 1
BEHIND = "moving it behind other rows"
NOT_FINITE = RawMeasurement(detail="outputs are not finite; see finite", see="finite")


def measure(bench: Bench) -> RawMeasurement:
    """The largest relative change of a row when others are put behind it, and others in front of it."""
    import torch

    if bench.random:
        return RawMeasurement(detail="eval mode draws random numbers; see purity", see="purity")
    worst, detail = 0.0, ""
    modes = [("inference", False), *([] if bench.random_in_training else [("grad", True)])]
    length, count = (bench.draw.randint(*between) for between in DRAWN)
    for time, sizes in (*CASES, (length, (count,))):
        draw = bench.tokens if time == WINDOW else bench.noise
        x = draw(1, time)
        alone = {mode: bench.run(x, mode=mode, train=train) for mode, train in modes}
        if not all(y.isfinite().all() for y in alone.values()):
            return NOT_FINITE
        for rows in sizes:
            others = draw(rows - 1, time)
            for mode, train in modes if rows == sizes[-1] else modes[:1]:
                cases = {
                    f"adding {rows - 1} other rows": torch.cat([x, others]),
                    BEHIND: torch.cat([OTHERS * others.flip(0), x]),
                }
                for case, rows_in in cases.items():
                    y = bench.run(rows_in, mode=mode, train=train, process="company")
                    moved = bench.difference(y[:1] if rows_in[0].equal(x[0]) else y[-1:], alone[mode])
                    if moved > worst:
                        worst, detail = moved, f"{case} changes a row's output"
    if (far := _far(bench)) is None:
        return NOT_FINITE
    if far > worst:
        worst, detail = far, f"{BEHIND} changes a row's output"
    return RawMeasurement(value=worst, detail=detail, numbers=bench.rounding)


def _far(bench: Bench) -> float | None:
    """How far a long row is moved by the rows before it, against itself alone as `complexity` counts it.

    Once, as it costs. None where it is not finite.
    """
    import torch

    length, count = (bench.draw.randint(*between) for between in FAR)
    x = bench.noise(1, length)
    alone = bench.run(x, mode="no_grad", train=False)
    if not alone.isfinite().all():
        return None
    rows = torch.cat([OTHERS * bench.noise(count - 1, length).flip(0), x])
    return bench.difference(bench.run(rows, mode="inference", train=False, process="company")[-1:], alone)


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """A row may change by rounding alone."""
    limit = rounding_limit(raw)
    if evidence.failed("purity"):
        return unjudged(NAME, "not judged while equal calls differ: correct purity first", limit)
    if raw.value is None:
        return unjudged(NAME, raw.detail, limit)
    if raw.value > limit:
        message = f"rows of a batch depend on each other: {raw.detail}; reduce or normalise within a row only"
        return failed(NAME, raw.value, limit, message)
    return passed(NAME, raw.value, limit, "every row stands alone")


GATE = Gate(name=NAME, measure=measure, judge=judge, after=("purity",))
