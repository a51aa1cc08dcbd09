"""A running campaign's events, put where other processes can see them: curves, what waits, what runs, the clock.

The other direction, what other processes ask of the campaign, is `serve_controls`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import structlog

from move37.agents.events import (
    ApprovalClosed,
    ApprovalRequested,
    BudgetUpdated,
    Event,
    ExperimentUpdated,
    Notice,
    Spoke,
    StageFinished,
    StageStarted,
    TrainingUpdated,
)
from move37.app.live_state import turn_after
from move37.lab.archive.controls import Control, Controls
from move37.lab.archive.live import EVERY, Recorder
from move37.lab.archive.message import now
from move37.lab.errors import ArchiveError
from move37.lab.records import ExperimentStatus

log = structlog.get_logger()
POLL = 0.25  # seconds between two looks at what others ask for
NOTICES = 20  # the last ones are kept


class LiveLog:
    """Takes events of one campaign in. A full disk costs the live view, never the campaign."""

    def __init__(self, home: Path, campaign: int) -> None:
        self._recorder = Recorder(home, campaign)
        self._open = True
        self._points: dict[tuple[str, str, int, float, bool], int] = {}
        self._active: dict[str, dict[str, str]] = {}
        self._notices: list[dict[str, str]] = []
        self._paused_at: datetime | None = None
        self._recorder.close_requests("the campaign began anew")
        self._recorder.state(paused=False)  # a killed one may have been

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open = False
        self._try(lambda: self._recorder.close_requests("the campaign ended"))
        self._try(lambda: self._recorder.state(active={}, running=False))
        self._recorder.close()

    def __call__(self, event: Event) -> None:
        """Store what others may want to see of it; what comes after the end, as a notice that failed, is not."""
        if self._open:
            self._try(lambda: self._take(event))

    def paused(self, paused: bool) -> None:
        """Whether nothing new begins; meanwhile no time of a request passes."""
        self._try(lambda: self._recorder.state(paused=paused))
        began, self._paused_at = self._paused_at, (self._paused_at or datetime.now(UTC)) if paused else None
        if began is not None and not paused:
            self._try(lambda: self._recorder.postpone(began))

    def _take(self, event: Event) -> None:
        match event:
            case TrainingUpdated():
                self._point(event)
            case BudgetUpdated():
                self._recorder.state(
                    running=True,
                    phase=event.phase,
                    done=event.done,
                    budget=event.budget,
                    seconds=event.seconds,
                    seconds_left=event.seconds_left,
                    tokens=event.tokens,
                    cost=event.cost,
                )
            case ApprovalRequested():
                until = event.seconds and datetime.now(UTC) + timedelta(seconds=event.seconds)
                self._recorder.ask(
                    event.experiment,
                    event.kind,
                    event.text,
                    until=until.isoformat(timespec="seconds") if until else None,
                )
            case ApprovalClosed():
                self._recorder.close_request(event.experiment, event.answer)
            case Notice() if not event.order:  # orders stand in the archive, with their answers
                self._notices = [*self._notices, {"at": now(), "text": event.text}][-NOTICES:]
                self._recorder.state(notices=self._notices)
            case StageStarted() | StageFinished() | Spoke() | ExperimentUpdated():
                self._activity(event)

    def _point(self, event: TrainingUpdated) -> None:
        p = event.progress
        run = (p.experiment, p.rung, p.seed, event.learning_rate, event.fresh)
        last = self._points.get(run, -EVERY)
        known = p.loss is not None and math.isfinite(p.loss)  # SQLite has no nan
        if known and (p.step >= last + EVERY or p.step < last or p.step == p.steps):
            self._points[run] = p.step
            self._recorder.point(
                p.experiment, p.rung, p.seed, p.step, p.loss or 0.0, rate=event.learning_rate, fresh=event.fresh
            )

    def _activity(self, event: StageStarted | StageFinished | Spoke | ExperimentUpdated) -> None:
        before = {ident: dict(facts) for ident, facts in self._active.items()}
        match event:
            case StageStarted():
                self._active[event.experiment] = {"stage": event.stage, "speaking": ""}
            case StageFinished():
                if event.stage.startswith("memory"):
                    self._active.pop(event.experiment, None)
            case Spoke():
                facts = self._active.setdefault(event.experiment, {"stage": "", "speaking": ""})
                facts["speaking"] = turn_after(event, facts["speaking"])
            case ExperimentUpdated():
                if event.experiment.status is not ExperimentStatus.RUNNING:
                    self._active.pop(event.experiment.id, None)
        if self._active != before:
            self._recorder.state(active=self._active)

    @staticmethod
    def _try(store: Callable[[], None]) -> None:
        try:
            store()
        except ArchiveError as error:
            log.warning("live_view_not_stored", error=str(error))


async def serve_controls(home: Path, campaign: int, carry_out: Callable[[Control], str]) -> None:
    """Take what other processes ask for and answer it, until cancelled."""
    with Controls(home) as controls:
        while True:
            for control in _taken(controls, campaign):
                try:
                    answer = carry_out(control)
                except Exception as error:  # whatever one order does, the next one is heard
                    log.exception("order_failed", kind=control.kind.value)
                    answer = (
                        f"not done: {error}" if isinstance(error, ArchiveError) else f"a fault of move37: {error!r}"
                    )
                with suppress(ArchiveError):  # the disk is full, say: who asked hears that nobody answers
                    controls.answer(control.id, answer)
            await asyncio.sleep(POLL)


def _taken(controls: Controls, campaign: int) -> tuple[Control, ...]:
    try:
        return controls.take(campaign)
    except ArchiveError as error:
        log.warning("controls_not_read", error=str(error))
        return ()
