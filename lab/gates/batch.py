"""Gate `batch`: a row's output depends on that row alone, not on the other rows or on their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import (
    NOT_FINITE,
    SCORED,
    TRAINED,
    WINDOW,
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

NAME = "batch"
# Length, rows; whole windows are asked with inputs that repeat, as text does.
CASES = ((1, (2, 3, 4, 16)), (97, (2, 3, 4)), (WINDOW, (TRAINED.rows, SCORED.rows)))
DRAWN = (2, 256), (2, 40)  # least and most of a length and of rows that are drawn anew
FAR = (300, 1024), (8, 16)  # likewise of one look beyond, where a mixer could be another one than `complexity` counted
OTHERS = 4.0  # scale of the other rows, against 1
BEHIND = "moving it behind other rows"


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
        windows = draw(max(sizes), time)  # at once, so that they are of one text, as a batch is
        x = windows[:1]
        alone = {mode: bench.run(x, mode=mode, train=train) for mode, train in modes}
        if not all(y.isfinite().all() for y in alone.values()):
            return NOT_FINITE
        for rows in sizes:
            others, at = windows[1:rows], bench.draw.randrange(rows)
            training = rows == (TRAINED.rows if time == WINDOW else sizes[-1])
            for mode, train in modes if training else modes[:1]:
                cases = {
                    f"adding {rows - 1} other rows": (torch.cat([others[:at], x, others[at:]]), at),
                    BEHIND: (torch.cat([OTHERS * others.flip(0), x]), rows - 1),
                }
                for case, (rows_in, place) in cases.items():
                    y = bench.run(rows_in, mode=mode, train=train, process="company")
                    moved = bench.difference(y[place : place + 1], alone[mode])
                    if moved > worst:
                        worst, detail = moved, f"{case} changes a row's output"
    looks = [(_far(bench), BEHIND), *([(_trained(bench), "exchanging the other rows")] if len(modes) == 1 else [])]
    for moved_here, case in looks:
        if moved_here is None:
            return NOT_FINITE
        if moved_here > worst:
            worst, detail = moved_here, f"{case} changes a row's output"
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


def _trained(bench: Bench) -> float | None:
    """How far the other rows move one in training mode, where mixers draw: by one draw in equally large batches."""
    import torch

    one, others = bench.tokens(2 * TRAINED.rows, WINDOW).chunk(2)
    at = bench.draw.randrange(TRAINED.rows)
    two = torch.cat([others[:at], one[at : at + 1], others[at + 1 :]])
    y, exchanged = (
        bench.run(rows, mode=TRAINED.mode, train=True, process=process)[at]
        for rows, process in ((one, "first"), (two, "company"))
    )
    return bench.difference(exchanged, y) if y.isfinite().all() else None


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
