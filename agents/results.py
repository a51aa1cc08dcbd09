"""What each durable step gives back: frozen records that the archive stores as they are.

Fields named like those of `Experiment` (hypothesis, candidate, gates, measurements, ...) become part of it.
`changes` says what else the step does to the experiment's row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from move37.lab.judging.checked import Fingerprint
from move37.lab.parents import Parent
from move37.lab.records import (
    Analysis,
    Candidate,
    Effects,
    ExperimentStatus,
    GateResult,
    Hypothesis,
    Measurement,
    Verdict,
)


class StepResult(Protocol):
    """Anything a step may give back."""

    def changes(self) -> Mapping[str, Any]:
        """Keyword arguments of `Archive.finish_stage`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentsResult:
    """Who was drawn to build on, and by which rule."""

    drawn: tuple[Parent, ...]

    def changes(self) -> Mapping[str, Any]:
        """Nothing: the row holds their ids."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """A proposal that was not chosen."""

    hypothesis: Hypothesis
    reason: str = ""  # the Critic's


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationResult:
    """The end of a negotiation."""

    hypothesis: Hypothesis | None
    accepted: bool
    reason: str = ""
    malformed: bool = False  # a model never gave a valid reply: failed, not rejected
    objections: int = 0
    parents: tuple[str, ...] = ()  # what the hypothesis says it is made from
    ideas: tuple[Idea, ...] = ()  # not chosen: they stay in the pool
    idea: str = ""  # of the pool, which this takes up
    recollected: tuple[str, ...] = ()  # keys of what memory returned
    toss_up: bool = False  # its second idea was as promising as the first, and it was this one's turn to be asked about

    def changes(self) -> Mapping[str, Any]:
        """Name, family and parents; without an accepted hypothesis, the end of the experiment."""
        named: dict[str, Any] = {}
        if self.hypothesis:
            named = {"name": self.hypothesis.name, "family": self.hypothesis.family}
        if self.parents:
            named["parents"] = self.parents
        if self.accepted:
            return named
        status = ExperimentStatus.FAILED if self.malformed else ExperimentStatus.REJECTED
        return named | {"status": status, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeResult:
    """The Engineer's file; None when no valid reply came or the user refused it."""

    candidate: Candidate | None
    reason: str = ""
    vetoed: bool = False

    def changes(self) -> Mapping[str, Any]:
        """The end of the experiment when there is no file."""
        if self.candidate is not None:
            return {"family": self.candidate.family}
        return {"status": ExperimentStatus.REJECTED if self.vetoed else ExperimentStatus.FAILED, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One file and what the gates said to it."""

    source: str
    gates: tuple[GateResult, ...]
    diagnosis: str = ""  # the Debugger's, for the attempts after the first
    learned: str = ""  # likewise: one sentence that would have avoided it


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """The gates' answers after debugging."""

    candidate: Candidate
    gates: tuple[GateResult, ...]
    passed: bool
    reason: str = ""
    fingerprint: Fingerprint | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()

    def changes(self) -> Mapping[str, Any]:
        """A failed gate ends the experiment."""
        return {} if self.passed else {"status": ExperimentStatus.FAILED, "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """One rung with one seed."""

    measurements: tuple[Measurement, ...]
    rung: int
    climbed: bool = False  # beyond the screening rung
    failure: str = ""
    sandbox: Mapping[str, str] = field(default_factory=dict)

    def changes(self) -> Mapping[str, Any]:
        """Status measured or promoted; failed by the candidate's fault; rejected where the run diverged."""
        if self.failure:
            return {"status": ExperimentStatus.FAILED, "reason": self.failure, "environment": self.sandbox}
        status = ExperimentStatus.PROMOTED if self.climbed else ExperimentStatus.MEASURED
        return {"status": status, "reached": self.rung, "environment": self.sandbox}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictResult:
    """The verdict against the baselines, and the effect of the change."""

    verdict: Verdict | None
    effects: Effects | None = None

    def changes(self) -> Mapping[str, Any]:
        """Nothing: a verdict is words."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisResult:
    """The Analyst's report, or the lab's own words when no model could give one."""

    analysis: Analysis

    def changes(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryResult:
    """Memory has taken the lesson (or queued it on disk)."""

    kept: bool = True

    def changes(self) -> Mapping[str, Any]:
        """Nothing."""
        return {}
