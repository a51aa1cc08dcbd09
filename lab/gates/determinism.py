"""Gate `determinism`: one seed gives one result, and another seed another.

The same seed twice gives the same weights, outputs and gradients. Under two seeds the initial weights differ and so
does torch's generator after them: a constructor that sets a seed would give every fresh seed the same start.
And under equal weights, mixers of two seeds give equal outputs: anything else that a constructor draws and keeps would
be neither saved nor counted, of any size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import (
    NOT_FINITE,
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
from move37.lab.training.contract import REGISTER

if TYPE_CHECKING:
    from torch import Tensor

    from move37.lab.inside.bench import Bench

NAME = "determinism"
SEED, OTHER = 7, 8
EVALUATED = Form(mode="no_grad", train=False, rows=2)


def measure(bench: Bench) -> RawMeasurement:
    """The largest relative difference between two runs of one seed, in training mode; and what no seed changes."""
    import torch

    if bench.random:
        return RawMeasurement(detail="eval mode draws random numbers; see purity", see="purity")
    first, second = _once(bench, "first"), _once(bench, "second")
    if not all(value.isfinite().all() for value in first.values()):
        return NOT_FINITE
    worst, detail = 0.0, ""
    for name in first:
        if name not in second:
            return RawMeasurement(value=1.0, detail=f"{name} is there only once")
        a, b = first[name], second[name]
        if torch.equal(a, b):
            continue
        moved = bench.difference(b, a)
        if moved > worst:
            worst, detail = moved, name
    fixed = [] if worst else _seeded_by_itself(bench)
    hidden = 0.0 if worst or fixed else _unregistered(bench)
    if hidden is None:
        return NOT_FINITE
    return RawMeasurement(
        value=min(worst, 1e9), detail=detail or "; ".join(fixed),
        numbers=(bench.rounding if worst or hidden else {}) | {"fixed": float(len(fixed)), "hidden": hidden},
    )  # fmt: skip


def _once(bench: Bench, process: str) -> dict[str, Tensor]:
    """Weights, output and gradients under `SEED`, each time in another process."""
    module = bench.build(seed=SEED, perturbed=False, drawn=True, process=process)
    y = module(bench.inputs(2, 97).to(bench.dtype), draw=SEED, train=True, mode="grad")
    _, gradients = module.backward(y * 2 / y.numel())
    found = {f"the initial {name}": value for name, value in module.parameters.items()}
    found |= {f"the gradient of {name}": value for name, value in gradients.items() if value is not None}
    return {"the output": y} | found


def _seeded_by_itself(bench: Bench) -> list[str]:
    """In words, what is equal under two seeds and should differ."""
    one, two = (bench.build(seed=seed, perturbed=False, drawn=True) for seed in (SEED, OTHER))
    return bench.started_alike(one, two)


def _unregistered(bench: Bench) -> float | None:
    """How far outputs of two seeds differ under the weights and buffers of the first. None: they are no numbers."""
    one = bench.build(seed=SEED)
    other = bench.build(seed=OTHER, process="second")
    if [a.shape for a in one.values] != [b.shape for b in other.values]:
        return 1.0
    other.values, worst = [value.clone() for value in one.values], 0.0
    for x, form in ((bench.inputs(2, 97), EVALUATED), (bench.tokens(TRAINED.rows, WINDOW), TRAINED)):
        y, again = (mixer(x.to(bench.dtype), draw=SEED, mode=form.mode, train=form.train) for mixer in (one, other))
        if not y.isfinite().all():
            return None
        worst = max(worst, bench.difference(again, y))
    return min(worst, 1e9)


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """Two runs may differ by rounding alone."""
    limit = rounding_limit(raw)
    if raw.value is None:
        return unjudged(NAME, raw.detail, limit)
    if raw.value > limit:
        message = f"one seed gives two results ({raw.detail}): draw in __init__ with torch's generator, seed nothing"
        return failed(NAME, raw.value, limit, message)
    if raw.numbers.get("fixed"):
        message = f"every seed starts alike: {raw.detail}; draw with torch's default generator and seed nothing"
        return failed(NAME, 1.0, limit, message)
    if (hidden := raw.numbers.get("hidden", 0.0)) > limit:
        message = f"under the same weights a mixer of another seed gives another output: {REGISTER}"
        return failed(NAME, hidden, limit, message)
    return passed(NAME, raw.value, limit, "one seed, one result")


GATE = Gate(name=NAME, measure=measure, judge=judge)
