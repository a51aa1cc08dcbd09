"""How well authors predicted, from an archive: every forecast beside its effect, and the Critic's refusals. Pure.

The effect that a forecast is scored by is that against the hypothesis' own base, at the fewest steps that both have:
the screen, where every candidate was (`lab/effects.py`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from move37.lab.effects import base_of, effect_between
from move37.lab.forecasts import ForecastOutcome, Refusals, Skill, refusals, score, skill
from move37.lab.records import SCREEN, Experiment, Metric, Role
from move37.lab.statistics.noise import NOISE, UNKNOWN_NOISE


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """The skill of every author, over the experiments of a home or campaign."""

    skills: tuple[Skill, ...]  # best first
    refusals: Refusals


def foresight(experiments: Sequence[Experiment], metric: Metric, *, changed: Collection[str] = ()) -> Foresight:
    """Of all candidates whose effect is known, but those `changed`: what ran is not what was predicted or refused."""
    gains = {e.id: screened_effect(e, experiments, metric) for e in experiments if e.id not in changed}
    effects = {ident: gain for ident, gain in gains.items() if gain is not None}
    found = outcomes(experiments, effects)
    known = NOISE.get(metric.name)
    noise = known.relatives.sd if known else UNKNOWN_NOISE
    authors = dict.fromkeys(o.forecast.author for o in found)
    skills = [s for author in authors if (s := skill(author, found, noise=noise)) is not None]
    tried = [e.id for e in experiments if e.hypothesis is not None and e.hypothesis.refused]
    return Foresight(
        skills=tuple(sorted(skills, key=lambda s: s.crps)),
        refusals=refusals(
            tried=[effects[i] for i in tried if i in effects],
            accepted=[gain for i, gain in effects.items() if i not in tried],
        ),
    )


def outcomes(experiments: Sequence[Experiment], effects: dict[str, float]) -> tuple[ForecastOutcome, ...]:
    """Every forecast of an experiment whose effect is known, in the order of the experiments."""
    return tuple(
        score(e.id, forecast, effects[e.id])
        for e in experiments
        if e.id in effects and e.hypothesis is not None
        for forecast in e.hypothesis.forecasts
    )


def screened_effect(experiment: Experiment, others: Sequence[Experiment], metric: Metric) -> float | None:
    """The gain over its own base at the first rung with the primary metric; None while it is not known."""
    base = base_of(experiment, others)
    if experiment.role is not Role.CANDIDATE or base is None:
        return None
    steps = [m.steps for m in experiment.measurements if m.metric == metric.name and m.text == SCREEN and m.is_sound]
    if not steps:
        return None
    effect = effect_between(experiment, base, metric, steps=min(steps), text=SCREEN)
    return effect.value if effect is not None and math.isfinite(effect.value) else None
