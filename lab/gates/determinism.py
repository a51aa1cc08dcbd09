"""Gate `determinism`: one seed gives one result, and another seed another.

The same seed twice gives the same weights, outputs and gradients. Under two seeds the initial weights differ and so
does torch's generator after them: a constructor that seeds for itself would start every fresh seed at its own choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from move37.lab.gates.gate import Gate, GateEvidence, RawMeasurement, failed, passed, rounding_limit, unjudged
from move37.lab.records import GateResult

if TYPE_CHECKING:
    from torch import Tensor

    from move37.lab.inside.bench import Bench

NAME = "determinism"
SEED, OTHER = 7, 8
DISTINCT = 0.9  # share of different numbers above which a matrix looks drawn


def measure(bench: Bench) -> RawMeasurement:
    """The largest relative difference between two runs of one seed, in training mode; and what no seed changes."""
    import torch

    from move37.lab.inside.tensors import difference

    number = bench.draw.randrange(bench.layers)
    first, second = _once(bench, "first", number), _once(bench, "second", number)
    worst, detail = 0.0, ""
    for name in first:
        if name not in second:
            return RawMeasurement(value=1.0, detail=f"{name} is there only once")
        a, b = first[name], second[name]
        if torch.equal(a, b) or not (a.isfinite().all() and b.isfinite().all()):
            continue
        moved = difference(b, a)
        if moved > worst:
            worst, detail = moved, name
    fixed = [] if worst else _seeded_by_itself(bench)
    return RawMeasurement(
        value=min(worst, 1e9), detail=detail or "; ".join(fixed),
        numbers=(bench.rounding if worst else {}) | {"fixed": float(len(fixed))},
    )  # fmt: skip


def _once(bench: Bench, process: str, number: int) -> dict[str, Tensor]:
    """Weights, output and gradients under `SEED`, each time in another process."""
    module = bench.build(seed=SEED, perturbed=False, drawn=True, process=process, number=number)
    y = module(bench.inputs(2, 97).to(bench.dtype), draw=SEED, train=True, mode="grad")
    _, gradients = module.backward(y * 2 / y.numel())
    found = {f"the initial {name}": value for name, value in module.parameters.items()}
    found |= {f"the gradient of {name}": value for name, value in gradients.items() if value is not None}
    return {"the output": y} | found


def _seeded_by_itself(bench: Bench) -> list[str]:
    """What two seeds have in common and should not."""
    import torch

    one, two = (bench.build(seed=seed, perturbed=False, drawn=True, number=0) for seed in (SEED, OTHER))
    if torch.equal(one.layer.state_after, two.layer.state_after):
        return ["the constructor seeds torch's generator itself"]
    there = two.parameters
    return [
        f"{name} looks random and is the same under two seeds"
        for name, value in one.parameters.items()
        if value.dim() > 1 and name in there and torch.equal(value, there[name]) and _distinct(value) > DISTINCT
    ]


def _distinct(value: Tensor) -> float:
    return len(set(value.flatten().tolist())) / max(1, value.numel())


def judge(raw: RawMeasurement, evidence: GateEvidence) -> GateResult:
    """Two runs may differ by rounding alone."""
    limit = rounding_limit(raw)
    if raw.value is None:
        return unjudged(NAME, raw.detail, limit)
    if raw.value > limit:
        message = f"one seed gives two results ({raw.detail}): draw with torch's default generator and seed nothing"
        return failed(NAME, raw.value, limit, message)
    if raw.numbers.get("fixed"):
        message = f"every seed starts alike: {raw.detail}; draw with torch's default generator and seed nothing"
        return failed(NAME, 1.0, limit, message)
    return passed(NAME, raw.value, limit, "one seed, one result")


GATE = Gate(name=NAME, measure=measure, judge=judge)
