"""What a watcher knows at a moment: a fold over the campaign's events, without a terminal.

`see` takes one event and returns the line that it is worth, if any; the displays draw the rest from the fields.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from rich.text import Text

from move37.agents.events import (
    ApprovalClosed,
    ApprovalRequested,
    BudgetUpdated,
    Event,
    ExperimentUpdated,
    GateChecked,
    Spoke,
    StageFinished,
    StageStarted,
    TrainingUpdated,
)
from move37.app.report.findings import best_at, step_counts
from move37.app.wording import event_text
from move37.lab.records import Experiment, ExperimentStatus, GateResult, Metric, Role
from move37.lab.tasks.task import Progress

ENDED = (ExperimentStatus.FAILED, ExperimentStatus.REJECTED)
CURVE = 64  # points of a loss curve that are kept


@dataclass(slots=True, kw_only=True)
class Active:
    """An experiment at work."""

    id: str
    stage: str = ""
    gates: list[GateResult] = field(default_factory=list)
    progress: Progress | None = None
    losses: list[float] = field(default_factory=list)
    speaking: str = ""


class Board:
    """The state of one sitting. May be told from any thread."""

    def __init__(self, metric: Metric, known: Iterable[Experiment] = ()) -> None:
        self.metric = metric
        self.experiments: dict[str, Experiment] = {e.id: e for e in known}
        self.active: dict[str, Active] = {}
        self.budget: BudgetUpdated | None = None
        self.budget_at = 0.0  # time.monotonic() of the last BudgetMoved
        self.waiting: dict[str, ApprovalRequested] = {}  # by experiment, oldest first
        self._lock = threading.Lock()

    @property
    def phase(self) -> str:
        """What the campaign is doing."""
        return self.budget.phase if self.budget else ""

    def see(self, event: Event) -> Text | None:
        """Take one event in; gives back the line that it is worth."""
        with self._lock:
            before = self.experiments.get(event.experiment.id) if isinstance(event, ExperimentUpdated) else None
            text = event_text(event, before, self.phase, self.metric)
            self._take(event)
            return text

    def budget_now(self) -> BudgetUpdated | None:
        """What is spent and left, with the seconds since it was last told."""
        told = self.budget
        if told is None:
            return None
        since = time.monotonic() - self.budget_at if told.phase != "done" else 0.0
        left = None if told.seconds_left is None else max(0.0, told.seconds_left - since)
        return replace(told, seconds=told.seconds + since, seconds_left=left)

    def at_work(self) -> list[Active]:
        """The experiments at work, oldest first."""
        with self._lock:
            return list(self.active.values())

    def name(self, ident: str) -> str:
        """An experiment's name, as far as it is known."""
        known = self.experiments.get(ident)
        return known.name if known else ""

    def is_baseline(self, ident: str) -> bool:
        """Whether it is one of the lab's own."""
        known = self.experiments.get(ident)
        return known is not None and known.role is Role.BASELINE

    def leaders(self) -> list[tuple[Role, Experiment, float, int]]:
        """The best candidate and the best baseline at the most steps that both have: role, record, value, steps.

        Values after different steps do not compare; without steps in common each stands at its own.
        """
        with self._lock:
            sound = [e for e in self.experiments.values() if e.status not in ENDED]
        sides = {role: [e for e in sound if e.role is role] for role in (Role.CANDIDATE, Role.BASELINE)}
        steps = {role: set(step_counts(mine, self.metric)) for role, mine in sides.items()}
        common = steps[Role.CANDIDATE] & steps[Role.BASELINE]
        found = []
        for role, mine in sides.items():
            place = max(common or steps[role], default=0)
            best = best_at(mine, self.metric, place)
            if best is not None:
                found.append((role, best[0], best[1].mean, place))
        return found

    def _take(self, event: Event) -> None:
        match event:
            case StageStarted():
                self._at(event.experiment).stage = event.stage
                self._at(event.experiment).progress = None
            case StageFinished():
                self._at(event.experiment).speaking = ""
                if event.restored or event.stage.startswith("memory"):
                    self.active.pop(event.experiment, None)
            case GateChecked():
                self._gate(self._at(event.experiment), event.gate)
            case TrainingUpdated():
                self._progress(self._at(event.progress.experiment), event.progress)
            case Spoke():
                self._at(event.experiment).speaking = event.to
            case ExperimentUpdated():
                self.experiments[event.experiment.id] = event.experiment
                if event.experiment.status is not ExperimentStatus.RUNNING:
                    self.active.pop(event.experiment.id, None)
            case BudgetUpdated():
                self.budget, self.budget_at = event, time.monotonic()
            case ApprovalRequested():
                self.waiting[event.experiment] = event
            case ApprovalClosed():
                self.waiting.pop(event.experiment, None)

    def _at(self, ident: str) -> Active:
        return self.active.setdefault(ident, Active(id=ident))

    @staticmethod
    def _gate(active: Active, gate: GateResult) -> None:
        # A name seen again opens the next attempt of the debugging.
        if any(g.name == gate.name for g in active.gates):
            active.gates.clear()
        active.gates.append(gate)

    @staticmethod
    def _progress(active: Active, progress: Progress) -> None:
        last = active.progress
        if last is None or (last.rung, last.seed) != (progress.rung, progress.seed):
            active.losses.clear()
        active.progress = progress
        if progress.loss is not None:
            active.losses.append(progress.loss)
            del active.losses[:-CURVE]
