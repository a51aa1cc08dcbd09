"""How soon somebody hears what a user types: by how long the stages of this campaign took so far. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from statistics import median

from move37.agents.search.plans import CODE_GENERATOR
from move37.lab.records import Experiment, Role, Stage, StageRecord

_SPOKEN = (Stage.HYPOTHESIS, Stage.CANDIDATE, Stage.ANALYSIS)


def heard_within(running: Sequence[tuple[str, float]], known: Iterable[Experiment]) -> float | None:
    """Seconds until the turn that speaks now has ended or the next one begins, by the medians of what is `known`.

    `running`: the stage of each experiment at work, and the seconds since it began. None where nothing tells it: of a
    stage that nobody has finished yet, one that takes longer than usual, and a training after the screen (its Analyst
    waits for the whole climb).
    """
    usual = until_spoken(known)
    left = [median(usual[stage]) - since for stage, since in running if stage in usual]
    return min((seconds for seconds in left if seconds > 0), default=None)


def until_spoken(experiments: Iterable[Experiment]) -> Mapping[str, list[float]]:
    """Stage -> seconds from its beginning until an agent's turn begins or, where agents speak in it, until its end.

    One number a candidate that got there, from its proposal to its first analysis.
    """
    found: dict[str, list[float]] = {}
    for e in experiments:
        stages = _first_cycle(e)
        ends = [datetime.fromisoformat(s.finished_at) for s in stages]
        for place, stage in enumerate(stages):
            begun = ends[place - 1] if place else datetime.fromisoformat(e.created_at)
            spoken = next((n for n in range(place, len(stages)) if _speaks(stages[n].stage, e)), None)
            if spoken is not None:
                heard = ends[place] if spoken == place else ends[spoken - 1]
                found.setdefault(stage.stage, []).append((heard - begun).total_seconds())
    return found


def about(seconds: float) -> str:
    """40 s, 3 min: no finer than such a guess is."""
    return f"{max(5, math.ceil(seconds / 5) * 5)} s" if seconds <= 55 else f"{math.ceil(seconds / 60)} min"


def _first_cycle(experiment: Experiment) -> list[StageRecord]:
    """The stages of a candidate until its first analysis; none where it did not get there."""
    if experiment.role is not Role.CANDIDATE or not experiment.created_at:
        return []
    stages = sorted(experiment.stages, key=lambda s: s.finished_at)
    cycle = list(takewhile(lambda s: s.stage != Stage.ANALYSIS, stages))
    return stages[: len(cycle) + 1] if len(cycle) < len(stages) else []


def _speaks(stage: str, experiment: Experiment) -> bool:
    """Whether an agent speaks in it: a plan that is turned into code as it stands is nobody's turn."""
    planned = experiment.candidate is not None and experiment.candidate.author == CODE_GENERATOR
    return stage in _SPOKEN and not (stage == Stage.CANDIDATE and planned)
