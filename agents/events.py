"""Events of a campaign for its displays and logs: frozen records, in the order in which they happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from move37.lab.records import Experiment, GateResult
from move37.lab.tasks.task import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoke:
    """Somebody said something in an experiment's conversation."""

    experiment: str
    source: str  # Researcher, Critic, Engineer, Debugger, Analyst, Lab, or the user's name
    to: str  # the next speaker where it is known, or "all"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted:
    """A durable step begins."""

    experiment: str
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished:
    """A durable step is stored; `restored` says that it was found in the archive instead."""

    experiment: str
    stage: str
    restored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateChecked:
    """One gate's answer."""

    experiment: str
    gate: GateResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingUpdated:
    """Progress of a training."""

    progress: Progress
    learning_rate: float = 0.0
    fresh: bool = False  # on a confirming seed


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentUpdated:
    """An experiment's record changed for good (measured, promoted, failed, ...)."""

    experiment: Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUpdated:
    """What is spent and what is left."""

    done: int  # candidates that have ended their cycle
    budget: int
    seconds: float  # since the start of this process's part of the campaign
    seconds_left: float | None
    tokens: int
    cost: float  # US dollars
    phase: str  # "baselines", "search", "climb", "confirm", "claims", "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested:
    """Somebody has to /approve or /veto."""

    experiment: str
    kind: str  # "hypothesis", "code", "promotion", "held_out"
    text: str
    seconds: float | None = None  # until it goes on unanswered; None: it waits


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalClosed:
    """A request was answered, or its timeout is over."""

    experiment: str
    answer: str  # one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One sentence for the user."""

    text: str
    order: bool = False  # it confirms an order of a user


Event = (
    Spoke
    | StageStarted
    | StageFinished
    | GateChecked
    | TrainingUpdated
    | ExperimentUpdated
    | BudgetUpdated
    | ApprovalRequested
    | ApprovalClosed
    | Notice
)
OnEvent = Callable[[Event], None]
