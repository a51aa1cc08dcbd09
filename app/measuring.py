"""Sandbox, task and kept runs around `lab/measuring.py`, for commands that need no campaign."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from move37.app import places
from move37.app.exits import BadInput
from move37.lab import measuring
from move37.lab.judging.judging import refused
from move37.lab.measuring import MeasuredArm, MeasuringContext
from move37.lab.records import Candidate, GateResult, Measurement, Verdict
from move37.lab.standings import Standings
from move37.lab.tasks.task import left_out_of
from move37.sandbox.factory import open_sandbox

if TYPE_CHECKING:
    from move37.app.settings import Settings
    from move37.lab.tasks.task import Rung, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredMixer:
    """What `move37 measure` found."""

    passed: bool | None  # no gate is false; None: none was asked
    gates: tuple[GateResult, ...] = ()
    failure: str = ""  # the mixer's own fault
    measurements: tuple[Measurement, ...] = ()
    baselines: tuple[MeasuredArm, ...] = ()  # measured under the same conditions
    verdict: Verdict | None = None
    left_out: tuple[str, ...] = ()  # files of the user's corpus that were not read, each with the reason
    locks_missing: int = 0  # locks around the gates that this system does not have


def unreadable() -> MeasuredMixer:
    """Of a file that no Python reads."""
    results = refused("not Python: the file is not text in the encoding that it declares, or UTF-8")
    return MeasuredMixer(passed=False, gates=tuple(results))


async def measure_file(
    settings: Settings, name: str, source: str, *, against: str | None, steps: int | None, seeds: Sequence[int],
    gated: bool,
) -> MeasuredMixer:  # fmt: skip
    """Gates, runs and the comparison. Raises `BadInput` before anything runs."""
    task = places.opened(settings)
    rung, rate = asked_rung(task, steps), task.schedule("quick").learning_rate
    rival = None if against is None else named_baseline(task, against)
    candidate = Candidate(source=source, author="person")
    async with open_context(settings, task) as context:
        checked = await measuring.checked(context, candidate, name) if gated else None
        gates = checked.results if checked else ()
        missing = int(checked.facts.get("locks_missing", 0.0)) if checked else 0
        left_out = left_out_of(task)
        if any(g.passed is False for g in gates):
            return MeasuredMixer(passed=False, gates=gates, locks_missing=missing, left_out=left_out)
        ours = await measuring.runs(context, candidate, name, rung=rung, seeds=seeds, rate=rate)
        baselines = []
        for own in task.baselines:
            if own.name == rival:
                baselines.append(
                    await measuring.runs(context, own.candidate, own.name, rung=rung, seeds=seeds, rate=rate)
                )
            elif kept := measuring.kept(context, own.candidate, own.name, rung=rung, seeds=seeds, rate=rate):
                baselines.append(kept)
        verdict = None
        if not ours.failure and rival is not None:
            theirs = next(b for b in baselines if b.name == rival)
            verdict = measuring.verdict(task.metric, ours, theirs)
        return MeasuredMixer(
            passed=True if gated else None,
            gates=gates,
            failure=ours.failure,
            measurements=ours.measurements,
            baselines=tuple(baselines),
            verdict=verdict,
            left_out=left_out,
            locks_missing=missing,
        )


def asked_rung(task: Task, steps: int | None) -> Rung:
    """The last rung of the schedule, or the same after fewer steps. Raises `BadInput`."""
    top = task.schedule("quick").rungs[-1]
    if steps is None or (not top.steps and steps == 0):
        return top
    if not top.steps:
        raise BadInput(f"--steps goes with a task that trains: {task.name} has none")
    if not 1 <= steps <= top.steps:
        raise BadInput(f"--steps {steps} is outside of the schedule: use 1 to {top.steps}")
    return replace(top, name=f"lm@{steps}", steps=steps)


def named_baseline(task: Task, name: str) -> str:
    """The baseline's name, if the task has it. Raises `BadInput`."""
    names = [b.name for b in task.baselines]
    if name not in names:
        raise BadInput(f"no baseline is called {name!r}: choose one of {', '.join(names)}")
    return name


@asynccontextmanager
async def open_context(
    settings: Settings, task: Task, *, written_by: str = "person"
) -> AsyncIterator[MeasuringContext]:
    """A sandbox for code of a user, the home's kept runs, and progress on a terminal's stderr."""
    workers = settings.campaign.workers or max(1, min(8, os.cpu_count() or 1))
    sandbox = await open_sandbox(
        settings.sandbox.backend,
        trusted_source=written_by,  # type: ignore[arg-type]
        workers=workers,
        docker=settings.sandbox.docker(),
    )
    try:
        yield MeasuringContext(
            task=task,
            sandbox=sandbox,
            standings=Standings.of(settings.home / "cache", corpus=task.digest, sandbox=sandbox.name),
            workdir=settings.home / "cache" / "checkpoints",
            places=asyncio.Semaphore(workers),
            on_run=tell if sys.stderr.isatty() else None,
        )
    finally:
        await sandbox.close()


def tell(name: str, seed: int, kept: bool) -> None:
    """One line a run, on stderr."""
    print(f"{name}, seed {seed}: {'kept from earlier' if kept else 'training'}", file=sys.stderr, flush=True)
