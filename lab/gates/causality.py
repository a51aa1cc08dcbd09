"""Gate `causality`: changing the future must not change the past.

From each cut on, inputs are replaced by ones of larger scale; outputs before the cut are compared with those of the
unchanged row. At the training length every cut is tried, with noise and with inputs that repeat as embedded text does,
in eval, inference and training mode; other lengths, on both sides of common chunk sizes and drawn anew up to 256, have
some cuts each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, passed, rounding_limit, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from move37.lab.inside.bench import Bench

NAME = "causality"
EVERY_CUT = 128  # the length of a training window
SOME_CUTS = ((24, 23), (97, 8), (300, 6))  # length, how many cuts
DRAWN = (129, 256, 12)  # least and most of a length that is drawn anew, and how many cuts
LOUDNESS = 4.0  # scale of the changed inputs, against 1


def measure(bench: Bench) -> RawMeasurement:
    """The largest relative change of an output before the cut."""
    if bench.random:
        return RawMeasurement(detail="eval mode draws random numbers; see purity", see="purity")
    least, most, count = DRAWN
    cases = [(EVERY_CUT, EVERY_CUT - 1, kind) for kind in ("noise", "tokens")]
    cases += [(time, cuts, "noise") for time, cuts in (*SOME_CUTS, (bench.draw.randint(least, most), count))]
    found = []
    for time, count, kind in cases:
        cuts = sorted(bench.draw.sample(range(1, time), count))
        modes = [("no_grad", False)]
        if time == EVERY_CUT:
            modes = [("inference", False)] if kind == "noise" else [("no_grad", False), ("grad", True)]
        for mode, train in modes:
            if not (train and bench.random_in_training):
                found.append(_leak(bench, time, cuts, kind=kind, mode=mode, train=train))
    if None in found:
        return RawMeasurement(detail="outputs are not finite; see finite", see="finite")
    worst, detail = max((leak for leak in found if leak is not None), key=lambda leak: leak[0])
    return RawMeasurement(value=worst, detail=detail, numbers=bench.rounding)


def _leak(bench: Bench, time: int, cuts: list[int], *, kind: str, mode: str, train: bool) -> tuple[float, str] | None:
    """The largest relative change over all cuts, computed as one batch whose first row is whole, and where."""
    draw = bench.noise if kind == "noise" else bench.tokens
    x, other = draw(1, time), LOUDNESS * draw(1, time) if kind == "noise" else draw(1, time).flip(1)
    rows = x.expand(1 + len(cuts), -1, -1).clone()
    for row, cut in enumerate(cuts, start=1):
        rows[row, cut:] = other[0, cut:]
    y = bench.run(rows, mode=mode, train=train, process="leaks")
    if not y[0].isfinite().all():
        return None
    worst, detail = 0.0, ""
    for row, cut in enumerate(cuts, start=1):
        moved = bench.difference(y[row, :cut], y[0, :cut], scale=y[0])
        if moved > worst:
            first = int((y[row, :cut] - y[0, :cut]).abs().amax(dim=1).argmax())
            worst, detail = moved, f"inputs from position {cut} on reach the output at position {first} of {time}"
    return worst, detail


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """Past outputs may change by rounding alone."""
    limit = rounding_limit(raw)
    if raw.value is None:
        return unjudged(NAME, raw.detail, limit)
    if raw.value > limit:
        message = f"the future leaks into the past: {raw.detail}; use inputs 0..t alone for output t"
        return failed(NAME, raw.value, limit, message)
    return passed(NAME, raw.value, limit, "no output depends on later inputs")


GATE = Gate(name=NAME, measure=measure, judge=judge)
