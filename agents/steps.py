"""The durable step: return what the archive holds; else run, store, and only then return.

Resume has no code of its own: a restarted cycle runs the same lines, and finished stages are read from the archive.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from move37.agents.events import OnEvent, StageFinished, StageStarted
from move37.agents.results import StepResult
from move37.lab.archive.codec import decode
from move37.lab.archive.store import Archive

R = TypeVar("R", bound=StepResult)
log = structlog.get_logger()


class Steps:
    """The steps of one experiment."""

    def __init__(
        self,
        archive: Archive,
        experiment: str,
        on_event: OnEvent,
        *,
        on_begin: Callable[[str], None],
        on_stored: Callable[[], None],
    ) -> None:
        self._archive = archive
        self._experiment = experiment
        self._on_event = on_event
        self._on_begin = on_begin
        self._on_stored = on_stored

    async def __call__(
        self,
        stage: str,
        kind: type[R],
        work: Callable[..., Awaitable[R]],
        *args: Any,
        rung: int = 0,
        seed: int = 0,
    ) -> R:
        """Run `work(*args)` once in the life of the experiment; its result is stored before this returns."""
        stored = self._archive.stage(self._experiment, stage, rung=rung, seed=seed)
        if stored is not None:
            self._on_event(StageFinished(experiment=self._experiment, stage=stage, restored=True))
            return decode(kind, stored)
        self._on_event(StageStarted(experiment=self._experiment, stage=stage))
        self._archive.begin_conversation(self._experiment, stage)
        self._on_begin(stage)
        began = time.monotonic()
        result = await work(*args)
        self._archive.finish_stage(self._experiment, stage, result, rung=rung, seed=seed, **result.changes())
        self._on_stored()
        seconds = time.monotonic() - began
        log.info("stage_finished", experiment=self._experiment, stage=stage, seed=seed, seconds=round(seconds, 3))
        self._on_event(StageFinished(experiment=self._experiment, stage=stage))
        return result
