"""The records of the gates' answers and of the novelty gate's fingerprint, used by the engine and by tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from move37.lab.records import GateResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What the novelty gate compares: hashes and outputs, no text."""

    experiment: str
    tree: str  # hash of the normalised syntax tree
    outputs: tuple[float, ...] = ()  # outputs on fixed weights and inputs, rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The answer of the gates."""

    results: tuple[GateResult, ...]
    fingerprint: Fingerprint | None = None  # None when the file could not even be parsed
    exhausted: bool = False  # time ended it before every gate had answered
    facts: Mapping[str, float] = field(default_factory=dict)  # e.g. parameters, mlp_width; for measure()

    @property
    def passed(self) -> bool:
        """True when no gate is false (a gate that could not run does not fail the candidate)."""
        return all(r.passed is not False for r in self.results)
