"""A campaign seen from another process: what has changed in its archive, as the events that it would have told.

`Watcher.poll` is called once a second or so. What scrolls by is complete (everything said, every record); what runs now
is as fresh as the campaign last told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from move37.agents.events import (
    ApprovalClosed,
    ApprovalRequested,
    BudgetUpdated,
    Event,
    ExperimentUpdated,
    Notice,
    Spoke,
    StageStarted,
    TrainingUpdated,
)
from move37.app.formatters import LONGEST_SHOWN
from move37.app.text import one_line
from move37.lab.archive.controls import TOLD_AS_LINES, Controls
from move37.lab.archive.live import LiveReader, StoredNotice, notices_of
from move37.lab.archive.lock import HomeLock
from move37.lab.archive.message import now
from move37.lab.archive.store import Archive, Campaign
from move37.lab.records import Experiment
from move37.lab.tasks.task import Progress


@dataclass(slots=True)
class _Seen:
    lines: int = 0
    unheard: set[str] = field(default_factory=set)  # ids of what users said and nobody has heard
    experiments: dict[str, Experiment] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    points: dict[tuple[str, str, int], int] = field(default_factory=dict)
    asked: dict[tuple[str, str, str], str] = field(default_factory=dict)  # an open request -> its experiment
    notices: list[StoredNotice] = field(default_factory=list)
    orders: set[int] = field(default_factory=set)
    since: str = ""  # what was told before this is old
    budget: BudgetUpdated | None = None


class Watcher:
    """One campaign, read-only. `past` lines of the conversation are told at the first poll."""

    def __init__(self, home: Path, campaign: int, *, past: int = 20) -> None:
        """Raises the archive's own errors."""
        self._home = home
        self._archive = Archive.open(home, readonly=True)
        self._live = LiveReader(home)
        self._controls = Controls(home)
        self.own: set[int] = set()  # orders of whoever looks on: their answers are shown already
        self._campaign = campaign
        lines = self._archive.lines(campaign=campaign)
        unheard = {line.id for line in lines if line.user and not line.experiment}
        self._seen = _Seen(lines=max(0, len(lines) - past), unheard=unheard)
        if len(lines) > past:  # else all of it is told, from the beginning
            self._seen.since = lines[-past].at if past else now()
        self._seen.experiments = {e.id: e for e in self._archive.experiments(campaign)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._controls.close()
        self._live.close()
        self._archive.close()

    @property
    def campaign(self) -> Campaign:
        """Its row as it is now."""
        return self._archive.campaign(self._campaign)

    @property
    def known(self) -> tuple[Experiment, ...]:
        """The experiments as they were last seen."""
        return tuple(self._seen.experiments.values())

    @property
    def running(self) -> bool:
        """Whether a process works on it: its status says so and the home is held."""
        return is_running(self._home, self.campaign)

    @property
    def paused(self) -> bool:
        """Whether a user paused it."""
        return bool(self._live.state(self._campaign).get("paused"))

    def poll(self) -> list[Event]:
        """What is new since the last call, records first."""
        return [
            *self._records(), *self._said(), *self._state(), *self._orders(), *self._curves(), *self._requests()
        ]  # fmt: skip

    def _records(self) -> list[Event]:
        found: list[Event] = []
        for experiment in self._archive.experiments(self._campaign):
            if self._seen.experiments.get(experiment.id) != experiment:
                self._seen.experiments[experiment.id] = experiment
                found.append(ExperimentUpdated(experiment=experiment))
        return found

    def _said(self) -> list[Event]:
        """What is new, and before it what users had said and somebody heard since: the same line, with its hearer."""
        lines = self._archive.lines(campaign=self._campaign)
        old, new = lines[: self._seen.lines], lines[self._seen.lines :]
        heard = [line for line in old if line.experiment and line.id in self._seen.unheard]
        self._seen.lines = len(lines)
        self._seen.unheard = {line.id for line in lines if line.user and not line.experiment}
        return [
            Spoke(experiment=line.experiment, source=line.source, to=line.to, text=line.text)
            if line.experiment
            else Notice(text=f"{line.source}: {one_line(line.text, LONGEST_SHOWN)}")  # nobody has heard it yet
            for line in (*heard, *new)
        ]

    def _state(self) -> list[Event]:
        state, found = self._live.state(self._campaign), list[Event]()
        if "phase" in state and (budget := _budget(state)) != self._seen.budget:
            self._seen.budget = budget
            found.append(budget)
        stages = {ident: facts.get("stage", "") for ident, facts in state.get("active", {}).items()}
        new = {ident: stage for ident, stage in stages.items() if self._seen.stages.get(ident) != stage}
        self._seen.stages = stages
        found += [StageStarted(experiment=ident, stage=stage) for ident, stage in new.items()]
        return [*found, *self._notices(state)]

    def _notices(self, state: Any) -> list[Event]:
        """Those that are new; at the first look those that are no older than the first line that is told."""
        told = notices_of(state)
        new = [n for n in told if n not in self._seen.notices and n.at >= self._seen.since]
        self._seen.notices = list(told)
        return [Notice(text=n.text) for n in new]

    def _orders(self) -> list[Event]:
        """What others asked the campaign for, with its answer; what they said is told as it is stored."""
        found: list[Event] = []
        for c in self._controls.of(self._campaign):
            if c.answer is None or c.id in self._seen.orders:
                continue
            self._seen.orders.add(c.id)
            if c.kind not in TOLD_AS_LINES and c.id not in self.own and c.at >= self._seen.since:
                asked = one_line(f"{c.user}: /{c.kind.value} {c.experiment or ''} {c.text}", 120)
                found.append(Notice(text=f"{asked} → {c.answer}", order=True))
        return found

    def _curves(self) -> list[Event]:
        found: list[Event] = []
        for curve in self._live.curves(self._campaign):
            run, last = (curve.experiment, curve.rung, curve.seed), curve.steps[-1]
            if curve.experiment not in self._seen.stages or self._seen.points.get(run) == last:
                continue
            self._seen.points[run] = last
            progress = Progress(
                experiment=curve.experiment,
                rung=curve.rung,
                seed=curve.seed,
                step=last,
                steps=int(curve.rung.partition("@")[2] or last),
                loss=curve.losses[-1],
            )
            found.append(TrainingUpdated(progress=progress))
        return found

    def _requests(self) -> list[Event]:
        open_now = {(r.experiment, r.kind, r.at): r for r in self._live.requests(self._campaign)}
        new = [r for key, r in open_now.items() if key not in self._seen.asked]
        closed = [ident for key, ident in self._seen.asked.items() if key not in open_now]
        self._seen.asked = {key: r.experiment for key, r in open_now.items()}
        return [
            *(ApprovalClosed(experiment=ident, answer="") for ident in closed),
            *(
                ApprovalRequested(experiment=r.experiment, kind=r.kind, text=r.text, seconds=_seconds_until(r.until))
                for r in new
            ),
        ]


def _seconds_until(until: str | None) -> float | None:
    return None if until is None else max(0.0, (datetime.fromisoformat(until) - datetime.now(UTC)).total_seconds())


def _budget(state: Any) -> BudgetUpdated:
    return BudgetUpdated(
        done=int(state.get("done", 0)),
        budget=int(state.get("budget", 0)),
        seconds=float(state.get("seconds", 0.0)),
        seconds_left=state.get("seconds_left"),
        tokens=int(state.get("tokens", 0)),
        cost=float(state.get("cost", 0.0)),
        phase=str(state["phase"]),
    )


def is_running(home: Path, campaign: Campaign) -> bool:
    """Whether a process works on it: a killed one leaves its status behind, but not its lock."""
    return campaign.status == "running" and HomeLock.is_held(home)
