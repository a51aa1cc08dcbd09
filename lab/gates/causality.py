"""Gate `causality`: changing the future must not change the past.

From each cut on, inputs are replaced by ones of larger scale; outputs before the cut are compared with those of the
unchanged row. At the training length every cut is tried, with noise and with inputs that repeat as embedded text does,
in eval, inference and training mode; other lengths, on both sides of common chunk sizes and drawn anew up to 256, have
some cuts each. These batches show that they are a question: their rows begin alike. So batches as a training and a
scoring have them are asked besides, twice and in two processes, the second time with other ends from one cut on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import (
    NOT_FINITE,
    SCORED,
    TRAINED,
    WINDOW,
    Form,
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
    from collections.abc import Callable

    from torch import Tensor

    from move37.lab.inside.bench import Bench

NAME = "causality"
SOME_CUTS = ((24, 23), (97, 8), (300, 6))  # length, how many cuts
DRAWN = (129, 256, 12)  # least and most of a length that is drawn anew, and how many cuts
LOUDNESS = 4.0  # scale of the changed inputs, against 1


def measure(bench: Bench) -> RawMeasurement:
    """The largest relative change of an output before the cut."""
    if bench.random:
        return RawMeasurement(detail="eval mode draws random numbers; see purity", see="purity")
    least, most, count = DRAWN
    cases = [(WINDOW, WINDOW - 1, kind) for kind in ("noise", "tokens")]
    cases += [(time, cuts, "noise") for time, cuts in (*SOME_CUTS, (bench.draw.randint(least, most), count))]
    found = []
    for time, count, kind in cases:
        cuts = sorted(bench.draw.sample(range(1, time), count))
        modes = [("no_grad", False)]
        if time == WINDOW:
            modes = [("inference", False)] if kind == "noise" else [("no_grad", False), ("grad", True)]
        for mode, train in modes:
            if not (train and bench.random_in_training):
                found.append(_leak(bench, time, cuts, kind=kind, mode=mode, train=train))
    # The same draw decides both answers here, so one that draws in training is asked too.
    # A first layer reads what returns, later ones what does not.
    kinds = [bench.tokens, bench.noise]
    asked = [*((SCORED, kind) for kind in kinds), (TRAINED, bench.draw.choice(kinds))]
    found += [_leak_among_others(bench, form, kind) for form, kind in asked]
    if None in found:
        return NOT_FINITE
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
    return _worst(bench, y[1:], y[:1].expand_as(y[1:]), cuts)


def _leak_among_others(bench: Bench, form: Form, draw: Callable[[int, int], Tensor]) -> tuple[float, str] | None:
    """The largest relative change before a cut, among windows that have nothing in common but a text."""
    text = draw(2 * form.rows, WINDOW)
    x, ends = text.chunk(2)
    changed, cut = x.clone(), bench.draw.randrange(1, WINDOW)  # one for all: whether rows are mixed is for `batch`
    changed[:, cut:] = ends[:, cut:]
    y = bench.run(x, mode=form.mode, train=form.train)
    if not y.isfinite().all():
        return None
    return _worst(bench, bench.run(changed, mode=form.mode, train=form.train, process="leaks"), y, [cut] * len(x))


def _worst(bench: Bench, changed: Tensor, y: Tensor, cuts: list[int]) -> tuple[float, str]:
    """The largest difference before a row's cut, in units of the whole row's size."""
    worst, detail = 0.0, ""
    for new, old, cut in zip(changed, y, cuts, strict=True):
        moved = bench.difference(new[:cut], old[:cut], scale=old)
        if moved > worst:
            first = int((new[:cut] - old[:cut]).abs().amax(dim=1).argmax())
            worst, detail = moved, f"inputs from position {cut} on reach the output at position {first} of {len(old)}"
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
