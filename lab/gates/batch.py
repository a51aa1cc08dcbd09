"""Gate `batch`: a row's output depends on that row alone, not on the other rows or on their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, passed, rounding_limit, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench

NAME = "batch"
WINDOW = 128  # of which a training has 16, a scoring 32; these are asked with inputs that repeat, as text does
CASES = ((1, (2, 3, 4, 16)), (97, (2, 4)), (WINDOW, (16, 32)))  # length, rows
DRAWN = (2, 256), (2, 40)  # least and most of a length and of rows that are drawn anew
LONG = (300, 1024), (8, 16)  # likewise of one case beyond, where a mixer could be another one than `complexity` counted
OTHERS = 4.0  # scale of the other rows, against 1


def measure(bench: Bench) -> RawMeasurement:
    """The largest relative change of a row when others are put behind it, and others in front of it."""
    import torch

    if bench.random:
        return RawMeasurement(detail="eval mode draws random numbers; see purity", see="purity")
    worst, detail = 0.0, ""
    modes = [("inference", False), *([] if bench.random_in_training else [("grad", True)])]
    (length, count), (far, many) = ([bench.draw.randint(*of) for of in between] for between in (DRAWN, LONG))
    for time, sizes in (*CASES, (length, (count,)), (far, (many,))):
        draw = bench.tokens if time == WINDOW else bench.noise
        x = draw(1, time)
        asked = modes if time != far else modes[:1]
        alone = {mode: bench.run(x, mode=mode if time != far else "no_grad", train=train) for mode, train in asked}
        if not all(y.isfinite().all() for y in alone.values()):
            return RawMeasurement(detail="outputs are not finite; see finite", see="finite")
        for rows in sizes:
            others = draw(rows - 1, time)
            for mode, train in asked if rows == sizes[-1] else asked[:1]:
                cases = {
                    f"adding {rows - 1} other rows": torch.cat([x, others]),
                    "moving it behind other rows": torch.cat([OTHERS * others.flip(0), x]),
                }
                for case, rows_in in list(cases.items())[time == far :]:  # of the long one the second, which costs
                    y = bench.run(rows_in, mode=mode, train=train, process="company")
                    moved = bench.difference(y[:1] if rows_in[0].equal(x[0]) else y[-1:], alone[mode])
                    if moved > worst:
                        worst, detail = moved, f"{case} changes a row's output"
    return RawMeasurement(value=worst, detail=detail, numbers=bench.rounding)


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
