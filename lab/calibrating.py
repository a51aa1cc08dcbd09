"""Measures a scale: a few baselines at several rates, then each at its best rate on several seeds.

Read `calibrate`; runs that are kept in the home are not repeated.
Their evaluation is pure and stands in `lab/calibration.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from move37.lab.calibration import ScaleCalibration, best_rates, calibrated
from move37.lab.errors import LabError
from move37.lab.measuring import MeasuredArm, MeasuringContext, runs
from move37.lab.records import Measurement
from move37.lab.scale import Scale
from move37.lab.tasks.task import Baseline, Rung

ARMS = ("gated_delta_net", "gla", "mamba2")  # three families
RATES = (5e-3, 1e-2, 2e-2)
SEEDS = 5
FIRST_SEED = 500_000  # beyond those of screens and below those of claims, so that no verdict uses them


async def calibrate(
    context: MeasuringContext,
    scale: Scale,
    arms: Sequence[Baseline],
    *,
    rates: Sequence[float] = RATES,
    seeds: int = SEEDS,
) -> ScaleCalibration:
    """Tune, then repeat. Raises `LabError` where a baseline cannot be measured, or too few runs are sound."""
    metric, rung = context.task.metric, Rung(number=2, name=f"lm@{scale.steps}", steps=scale.steps)
    chosen = range(FIRST_SEED, FIRST_SEED + seeds)

    async def arm_at(arm: Baseline, rate: float, on: Sequence[int]) -> Sequence[Measurement]:
        return _sound(await runs(context, arm.candidate, arm.name, rung=rung, seeds=on, rate=rate))

    async def at_every_rate(arm: Baseline) -> Sequence[Measurement]:
        found = await asyncio.gather(*(arm_at(arm, rate, chosen[:1]) for rate in rates))
        return [m for measurements in found for m in measurements]

    tuned = await asyncio.gather(*(at_every_rate(arm) for arm in arms))
    tuning = {arm.name: ms for arm, ms in zip(arms, tuned, strict=True)}
    own, _ = best_rates(metric, tuning)
    repeated = await asyncio.gather(*(arm_at(arm, own[arm.name], chosen) for arm in arms))
    return calibrated(scale, metric, tuning, {arm.name: ms for arm, ms in zip(arms, repeated, strict=True)})


def _sound(arm: MeasuredArm) -> Sequence[Measurement]:
    if arm.failure:
        raise LabError(f"{arm.name} cannot be measured at this scale: {arm.failure}")
    return arm.measurements
