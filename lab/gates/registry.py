"""All gates, in the order in which they run and are shown. To add one: a file beside these and a line here."""

from __future__ import annotations

from move37.lab.gates import (
    batch,
    causality,
    complexity,
    dead_parameters,
    determinism,
    dtype,
    finite,
    imports,
    novelty,
    parameters,
    purity,
    shape,
    truncation,
)
from move37.lab.gates.gate import Gate

GATES: tuple[Gate, ...] = (
    imports.GATE,
    shape.GATE,
    finite.GATE,
    causality.GATE,
    truncation.GATE,
    batch.GATE,
    purity.GATE,
    dead_parameters.GATE,
    parameters.GATE,
    complexity.GATE,
    dtype.GATE,
    determinism.GATE,
    novelty.GATE,
)
NAMES: tuple[str, ...] = tuple(gate.name for gate in GATES)
BUDGETS = frozenset({parameters.GATE.name, complexity.GATE.name})  # they bound size and cost; the others find faults
