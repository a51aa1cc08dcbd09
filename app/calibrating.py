"""`move37 calibrate` around `lab/calibrating.py`: what is asked, where it is kept, and what is said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from move37.app import places
from move37.app.exits import BadInput
from move37.app.measuring import open_context, tell
from move37.app.settings import Settings
from move37.lab import baselines, calibrating
from move37.lab.calibration import LEAST_ARMS, ScaleCalibration
from move37.lab.errors import LabError
from move37.lab.records import Metric
from move37.lab.scale import Scale
from move37.lab.tasks.registry import TASKS, kind_of
from move37.lab.tasks.task import ScaledTask


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRequest:
    """What the user asked for."""

    arms: tuple[str, ...] = calibrating.ARMS
    rates: tuple[float, ...] = calibrating.RATES
    seeds: int = calibrating.SEEDS


def asked(arms: str | None, rates: str | None, seeds: int | None) -> CalibrationRequest:
    """From the words of the command line. Raises `BadInput`."""
    names = tuple(dict.fromkeys(n.strip() for n in arms.split(","))) if arms else calibrating.ARMS
    if unknown := [n for n in names if n not in baselines.NAMES]:
        raise BadInput(f"no baseline is called {unknown[0]!r}: choose from {', '.join(baselines.NAMES)}")
    if len(names) < LEAST_ARMS:
        raise BadInput(f"--arms {arms}: name {LEAST_ARMS} baselines at least, or no difference can be seen")
    try:
        found = tuple(dict.fromkeys(float(r) for r in rates.split(","))) if rates else calibrating.RATES
    except ValueError as error:
        raise BadInput(f"--rates {rates} cannot be used: write numbers with commas, e.g. 0.005,0.01") from error
    if not all(math.isfinite(r) and 0.0 < r <= 1.0 for r in found):
        raise BadInput(f"--rates {rates} cannot be used: learning rates lie between 0 and 1")
    return CalibrationRequest(arms=names, rates=found, seeds=seeds or calibrating.SEEDS)


async def calibrate_scale(settings: Settings, wanted: CalibrationRequest) -> tuple[ScaleCalibration, Metric]:
    """Measure and keep; its metric stands beside.

    Raises `BadInput` where the scale needs none or cannot be measured.
    """
    task = places.opened(settings)
    if not isinstance(task, ScaledTask):
        able = " or ".join(f"--task {kind.usage}" for kind in TASKS if kind.scales)
        raise BadInput(f"a {kind_of(settings.campaign.task).candidate} has no scale: {able} is what is calibrated")
    if task.calibrated and task.calibration is None:
        raise BadInput(f"scale {task.scale.name} was measured by the lab itself (docs/figures): nothing is to be done")
    arms = [b for b in task.baselines if b.name in wanted.arms]
    async with open_context(settings, task, written_by="grammar") as context:
        try:
            said = replace(context, on_run=tell)  # also where a log reads along: it takes hours
            found = await calibrating.calibrate(said, task.scale, arms, rates=wanted.rates, seeds=wanted.seeds)
        except LabError as error:
            raise BadInput(str(error)) from error
    task.calibrations(settings.home / "cache").put(found)
    return found, task.metric


def as_record(found: ScaleCalibration) -> dict[str, Any]:
    """The JSON that other programs rely on."""
    return {
        "scale": found.scale,
        "steps": found.steps,
        "learning_rate": found.learning_rate,
        "rates": dict(found.rates),
        "edge": found.edge,
        "noise": {"run": found.noise.run.sd, "difference": found.noise.across.sd},
        "detectable": found.detectable if math.isfinite(found.detectable) else None,
        "seeds": found.seeds,
        "arms": list(found.arms),
        "cpu_seconds": found.cpu_seconds,
    }


def sentence(scale: Scale, found: ScaleCalibration, unit: str) -> str:
    """For a user."""
    edge = "; it is the end of the rates that were tried, a better one may lie beyond" if found.edge else ""
    return (
        f"{scale.words}: best rate {found.learning_rate:g}{edge}. One run scatters by {found.noise.run.sd:.4f} {unit} "
        f"between seeds, a difference by {found.noise.across.sd:.4f}; {found.seeds} fresh seeds find "
        f"{found.detectable:.3f} {unit} or more in four of five cases."
    )
