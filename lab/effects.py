"""Effects of a change: the gain over the parent, over the family's best baseline and over the best baseline. Pure.

Read `effects_of` first, then `effect_between` (two experiments under equal conditions). Only values with the same
steps, schedule, scale, device and text are compared, screening never with deciding text. Each arm is at its best of
the rates that were tried on both: a parent from before a calibration, or one that was not tuned as its child was, would
lend the child what its rate is worth.
The standard error comes from the calibrated noise, pooled with the seeds at hand, or from the seeds alone.

An effect is a description and supports no claim: screening seeds selected what they measure (see `lab/verdicts.py`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from move37.lab.rates import best_rate
from move37.lab.records import (
    DECIDE,
    HELD_OUT,
    SCREEN,
    Effect,
    Effects,
    Experiment,
    Measurement,
    Metric,
    Role,
)
from move37.lab.statistics.noise import Calibration, Noise, noise_of

__all__ = ["Conditions", "Effect", "Effects", "base_of", "conditions_of", "effect_between", "effects_of"]

_TEXTS = (SCREEN, DECIDE, HELD_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What two values must share before they may be compared."""

    steps: int
    total_steps: int
    width: int
    text: str
    scale: str = ""  # `Scale.key`
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arm:
    """One experiment's sound runs under one set of conditions, at its best learning rate."""

    values: Mapping[int, float]  # by seed
    noise: Noise | None  # known beforehand


def effects_of(experiment: Experiment, others: Sequence[Experiment], metric: Metric) -> Effects:
    """`experiment` against its parent, its family's best baseline and the best baseline among `others`.

    Each at the most steps that both have, on deciding text where both were scored on it; None where there is no such
    rival, or no number under equal conditions.
    """
    baselines = [e for e in others if e.role is Role.BASELINE and e.id != experiment.id]
    baselines = [e for e in baselines if e.campaign == experiment.campaign] or baselines
    family = [b for b in baselines if b.family == experiment.family]
    parent = base_of(experiment, others)
    return Effects(
        parent=None if parent is None else effect_between(experiment, parent, metric),
        family=_against_best(experiment, family, metric),
        best=_against_best(experiment, baselines, metric),
    )


def base_of(experiment: Experiment, others: Sequence[Experiment]) -> Experiment | None:
    """What the experiment changes: its hypothesis' base (an id, or a baseline's name), else its first parent."""
    by_id = {e.id: e for e in others if e.id != experiment.id}
    named = experiment.hypothesis.base if experiment.hypothesis else ""
    if named in by_id:
        return by_id[named]
    namesakes = [e for e in by_id.values() if named and e.role is Role.BASELINE and e.name == named]
    namesakes.sort(key=lambda e: e.campaign == experiment.campaign)
    if namesakes:
        return namesakes[-1]
    return next((by_id[p] for p in experiment.parents if p in by_id), None)


def effect_between(
    experiment: Experiment,
    rival: Experiment,
    metric: Metric,
    *,
    steps: int | None = None,
    text: str | None = None,
) -> Effect | None:
    """The gain over `rival` under the richest conditions that both share; None without common ones.

    `steps` and `text` ask for one point instead.
    """
    ours, theirs = _arms(experiment, rival, metric), _arms(rival, experiment, metric)
    common = [c for c in ours.keys() & theirs.keys() if steps in (None, c.steps) and text in (None, c.text)]
    if not common:
        return None
    best = max(common, key=_rank)
    known = ours[best].noise if ours[best].noise == theirs[best].noise else None
    related = experiment.family == rival.family
    value, error, seeds = _difference(ours[best].values, theirs[best].values, metric, known, related=related)
    return Effect(rival=rival.id, value=value, standard_error=error, steps=best.steps, text=best.text, seeds=seeds)


def conditions_of(measurement: Measurement) -> Conditions:
    """Under which a value was taken."""
    return Conditions(
        steps=measurement.steps,
        total_steps=measurement.total_steps,
        width=measurement.width,
        text=measurement.text,
        scale=measurement.scale,
        device=measurement.device,
    )


def _against_best(experiment: Experiment, rivals: Sequence[Experiment], metric: Metric) -> Effect | None:
    """The effect at the most steps, and among those the smallest: against the strongest rival."""
    found = [e for r in rivals if (e := effect_between(experiment, r, metric)) is not None]
    return max(found, key=lambda e: (e.steps, _TEXTS.index(e.text), -e.value), default=None)


def _rank(conditions: Conditions) -> tuple[int, int, int, int]:
    return conditions.steps, _TEXTS.index(conditions.text), -conditions.width, -conditions.total_steps


def _screened(experiment: Experiment, metric: Metric) -> set[float]:
    """The learning rates at which it was screened."""
    return {m.learning_rate for m in experiment.measurements if m.metric == metric.name and not m.fresh}


def _arms(experiment: Experiment, rival: Experiment, metric: Metric) -> dict[Conditions, _Arm]:
    """Per conditions the runs of `experiment` at its best of the rates at which both were screened; a rate that
    diverged once is out.

    A fresh seed runs at the one rate that screening chose for its arm. It counts unless screening was on other rates.
    """
    mine, theirs = _screened(experiment, metric), _screened(rival, metric)
    shared, alike = mine & theirs, bool(mine & theirs) or not (mine and theirs)
    runs: dict[Conditions, dict[float, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for m in experiment.measurements:
        if m.metric == metric.name and m.text in _TEXTS and (alike if m.fresh else m.learning_rate in shared):
            runs[conditions_of(m)][m.learning_rate].append(m)
    arms = {}
    for conditions, by_rate in runs.items():
        best = best_rate(by_rate, higher_is_better=metric.higher_is_better)
        if best is not None:
            chosen = by_rate[best]
            values = {m.seed: m.value for m in chosen}
            arms[conditions] = _Arm(values=values, noise=noise_of(metric.name, chosen))
    return arms


def _difference(
    ours: Mapping[int, float], theirs: Mapping[int, float], metric: Metric, known: Noise | None, *, related: bool
) -> tuple[float, float | None, int]:
    """Gain, its standard error and the seeds behind it: over the common seeds, or between two sets without any."""
    common = sorted(ours.keys() & theirs.keys())
    if common:
        gains = [metric.gain(ours[s], theirs[s]) for s in common]
        calibration = (known.relatives if related else known.across) if known else None
        sd = _pooled_sd(gains, calibration)
        return _mean(gains), None if sd is None else sd / math.sqrt(len(gains)), len(gains)
    sides = [list(ours.values()), list(theirs.values())]
    sds = [_pooled_sd(side, known.run if known else None) for side in sides]
    value = metric.gain(_mean(sides[0]), _mean(sides[1]))
    if sds[0] is None or sds[1] is None:
        return value, None, min(map(len, sides))
    variance = sds[0] ** 2 / len(sides[0]) + sds[1] ** 2 / len(sides[1])
    return value, math.sqrt(variance), min(map(len, sides))


def _pooled_sd(values: Sequence[float], calibration: Calibration | None) -> float | None:
    """As in `statistics.paired`: the calibrated variance outvoted by the sample's as seeds are added."""
    mean = _mean(values)
    squares = math.fsum((v - mean) ** 2 for v in values)
    d0, s0 = (calibration.df, calibration.sd) if calibration else (0.0, 0.0)
    df = d0 + len(values) - 1
    return math.sqrt((d0 * s0**2 + squares) / df) if df > 0 else None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
