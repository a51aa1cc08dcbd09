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
from move37.agents.roles import USER
from move37.app.formatters import event_text
from move37.app.views.leaderboard import Group, Place, board_of
from move37.lab.archive.message import TOOLS
from move37.lab.records import Experiment, ExperimentStatus, GateResult, Metric, Role
from move37.lab.tasks.task import Progress

CURVE = 64  # points of a loss curve that are kept
_FIRST = {"hypothesis": "Researcher", "candidate": "Engineer", "analysis": "Analyst"}  # who begins a stage


@dataclass(slots=True, kw_only=True)
class Active:
    """An experiment at work."""

    id: str
    stage: str = ""
    since: float = 0.0  # time.monotonic() when the stage began
    gates: list[GateResult] = field(default_factory=list)
    progress: Progress | None = None
    losses: list[float] = field(default_factory=list)
    speaking: str = ""  # whose turn it is; empty: nobody has spoken in this stage

    @property
    def turn(self) -> str:
        """Who speaks now or next: of a stage that begins, its first; empty where nobody speaks."""
        return self.speaking or _FIRST.get(self.stage, "")


class LiveState:
    """The state of one session. May be told from any thread."""

    def __init__(self, metric: Metric, known: Iterable[Experiment] = ()) -> None:
        self.metric = metric
        self.experiments: dict[str, Experiment] = {e.id: e for e in known}
        self.active: dict[str, Active] = {}
        self.budget: BudgetUpdated | None = None
        self.budget_at = 0.0  # time.monotonic() of the last BudgetMoved
        self.waiting: dict[str, ApprovalRequested] = {}  # by experiment, oldest first
        self.answered: dict[str, str] = {}  # by experiment: how the last request about it ended
        self.paused = False
        self._still_since: float | None = None  # time.monotonic(): the campaign's clock stands still
        self._stood = 0.0  # seconds that it stood still since the last BudgetUpdated
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
            self._tick()
            return text

    def pause(self, paused: bool) -> None:
        """Whether the user paused the campaign."""
        with self._lock:
            self.paused = paused
            self._tick()

    def budget_now(self) -> BudgetUpdated | None:
        """What is spent and left, with the seconds since it was last told, but for those that the clock stood still."""
        told = self.budget
        if told is None:
            return None
        now = time.monotonic()
        stood = self._stood + (now - self._still_since if self._still_since is not None else 0.0)
        since = now - self.budget_at - stood if told.phase != "done" else 0.0
        left = None if told.seconds_left is None else max(0.0, told.seconds_left - since)
        return replace(told, seconds=told.seconds + since, seconds_left=left)

    def at_work(self) -> list[Active]:
        """The experiments at work, oldest first."""
        with self._lock:
            return list(self.active.values())

    def at_work_unasked(self) -> list[Active]:
        """Those of them that wait for nobody's word."""
        return [active for active in self.at_work() if active.id not in self.waiting]

    def name(self, ident: str) -> str:
        """An experiment's name, as far as it is known."""
        known = self.experiments.get(ident)
        return known.name if known else ""

    def is_baseline(self, ident: str) -> bool:
        """Whether it is one of the lab's own."""
        known = self.experiments.get(ident)
        return known is not None and known.role is Role.BASELINE

    def leaders(self) -> list[tuple[Role, Experiment, str, str]]:
        """The best candidate and the best baseline of the strongest group of screens that holds both: role, record,
        value, what the group shares. Without a group in common each stands in its own.
        """
        with self._lock:
            groups = [g for g in board_of(tuple(self.experiments.values()), self.metric).groups if not g.terms.fresh]
        roles = (Role.CANDIDATE, Role.BASELINE)
        shared = next((g for g in groups if all(_best(g, role) for role in roles)), None)
        found = []
        for role in roles:
            group = shared or next((g for g in groups if _best(g, role)), None)
            if group is not None and (best := _best(group, role)) is not None:
                found.append((role, best.experiment, group.scale.text(best.summary.mean), group.heading))
        return found

    def _tick(self) -> None:
        """As the campaign's own clock: it stands still while it is paused or somebody is asked."""
        now, still = time.monotonic(), self.paused or bool(self.waiting)
        if still and self._still_since is None:
            self._still_since = now
        elif not still and self._still_since is not None:
            self._stood, self._still_since = self._stood + now - self._still_since, None

    def _take(self, event: Event) -> None:
        match event:
            case StageStarted():
                self._at(event.experiment).stage = event.stage
                self._at(event.experiment).since = time.monotonic()
                self._at(event.experiment).speaking = ""
                self._at(event.experiment).progress = None
            case StageFinished():
                self._at(event.experiment).speaking = ""
                if event.restored or event.stage.startswith("memory"):
                    self.active.pop(event.experiment, None)
            case GateChecked():
                self._gate(self._at(event.experiment), event.gate)
            case TrainingUpdated():
                self._progress(self._at(event.progress.experiment), event.progress)
            case Spoke() if self._unfinished(event.experiment):  # the last words may come after the record
                active = self._at(event.experiment)
                active.speaking = turn_after(event, active.speaking)
            case ExperimentUpdated():
                self.experiments[event.experiment.id] = event.experiment
                if event.experiment.status is not ExperimentStatus.RUNNING:
                    self.active.pop(event.experiment.id, None)
            case BudgetUpdated():
                self.budget, self.budget_at, self._stood = event, time.monotonic(), 0.0
                self._still_since = self.budget_at if self._still_since is not None else None
            case ApprovalRequested():
                self.waiting[event.experiment] = event
            case ApprovalClosed():
                self.waiting.pop(event.experiment, None)
                self.answered[event.experiment] = event.answer

    def _unfinished(self, ident: str) -> bool:
        known = self.experiments.get(ident)
        return ident in self.active or known is None or known.status is ExperimentStatus.RUNNING

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


def turn_after(said: Spoke, before: str) -> str:
    """Whose turn it is once that was said. A call of a tool, and what tells the user, leave the turn where it is."""
    if said.to == TOOLS:
        return said.source
    return before if said.to == USER else said.to


def _best(group: Group, role: Role) -> Place | None:
    sound = (p for p in group.places if not p.summary.diverged)
    return next((p for p in sound if p.experiment.role is role), None)
