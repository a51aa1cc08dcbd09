"""What a report counts: records -> small records for the charts and the text. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from move37.app.report.story import Story
from move37.lab.records import Experiment, ExperimentStatus, Metric, Role
from move37.lab.verdicts import Summary, summarise


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A candidate in the order of the search, at the steps that every candidate was screened at."""

    experiment: Experiment
    compute: float  # seconds of training, scoring and gates up to and with this one
    value: float | None  # None: no number
    best: float | None  # best value so far


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCount:
    """What one gate did in a campaign."""

    gate: str
    ended: int  # experiments that it ended
    mended: int  # refusals that the Debugger mended


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a mixer costs, beside what it reaches."""

    experiment: Experiment
    value: float  # primary metric at the screening steps
    parameters: float | None  # of the mixer alone
    speed: float | None  # training tokens a CPU second


def step_counts(experiments: Iterable[Experiment], metric: Metric) -> list[int]:
    """The step counts at which the primary metric was measured, fewest first."""
    return sorted({m.steps for e in experiments for m in e.measurements if m.metric == metric.name})


def at_steps(experiment: Experiment, metric: Metric, steps: int, *, fresh: bool) -> Summary | None:
    """The primary metric after exactly `steps`, screened or on fresh seeds; None without a sound number."""
    runs = [m for m in experiment.measurements if m.metric == metric.name and m.steps == steps and m.fresh == fresh]
    summary = summarise(runs).get(metric.name)
    return summary if summary is not None and math.isfinite(summary.mean) and not summary.diverged else None


def screening_steps(story: Story) -> int:
    """Where all candidates can be compared: the fewest steps at which any was measured."""
    counts = step_counts(story.candidates, story.metric) or step_counts(story.baselines, story.metric)
    return counts[0] if counts else 0


def trials(story: Story) -> list[Trial]:
    """The search, candidate by candidate."""
    steps = screening_steps(story)
    found: list[Trial] = []
    compute, best = 0.0, None
    for e in story.candidates:
        compute += math.fsum(m.train_seconds + m.eval_seconds for m in e.measurements)
        summary = at_steps(e, story.metric, steps, fresh=False)
        value = summary.mean if summary else None
        if value is not None and (best is None or story.metric.gain(value, best) > 0):
            best = value
        found.append(Trial(experiment=e, compute=compute, value=value, best=best))
    return found


def best_at(experiments: Sequence[Experiment], metric: Metric, steps: int) -> tuple[Experiment, Summary] | None:
    """The best screening value after `steps`."""
    found = [(e, s) for e in experiments if (s := at_steps(e, metric, steps, fresh=False)) is not None]
    return max(found, key=lambda pair: metric.gain(pair[1].mean, 0.0)) if found else None


def gate_counts(experiments: Sequence[Experiment]) -> list[GateCount]:
    """Which gates refused, and what became of it; most frequent first."""
    ended: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for e in experiments:
        if e.role is not Role.CANDIDATE:
            continue
        last = {g.name for g in e.gates if g.passed is False}
        ended.update(last)
        refused.update(_refusals(e) - last)
    return [
        GateCount(gate=gate, ended=ended[gate], mended=refused[gate]) for gate, _ in (ended + refused).most_common()
    ]


def _refusals(experiment: Experiment) -> set[str]:
    """The gates that refused any attempt, from the stored attempts of the debugging."""
    found: set[str] = set()
    for record in experiment.stages:
        attempts = record.payload.get("attempts")
        for attempt in attempts if isinstance(attempts, list) else []:
            found |= {str(g["name"]) for g in attempt.get("gates", ()) if g.get("passed") is False}
    return found


def outcomes(story: Story) -> dict[str, int]:
    """Candidates by status, in the order of the ladder."""
    counts = Counter(e.status for e in story.candidates)
    return {status.value: counts[status] for status in ExperimentStatus if counts[status]}


def costs(story: Story) -> list[Cost]:
    """Quality beside parameters and speed, for everything that was measured at the screening steps."""
    steps = screening_steps(story)
    found = []
    for e in story.experiments:
        summary = at_steps(e, story.metric, steps, fresh=False)
        if summary is not None:
            speed = _speed(e, story.metric, steps)
            found.append(Cost(experiment=e, value=summary.mean, parameters=_parameters(e), speed=speed))
    return found


def _parameters(experiment: Experiment) -> float | None:
    return next((g.value for g in experiment.gates if g.name == "parameters" and g.value), None)


def _speed(experiment: Experiment, metric: Metric, steps: int) -> float | None:
    # Only the first rung starts from nothing: later ones count all tokens and only their own seconds.
    runs = [m for m in experiment.measurements if m.metric == metric.name and m.steps == steps and m.cpu_seconds > 0]
    return runs[0].tokens_seen / runs[0].cpu_seconds if runs and runs[0].tokens_seen else None


def depths(experiments: Sequence[Experiment]) -> Mapping[str, int]:
    """How many generations stand above each experiment; what has no known parent stands at 0."""
    known = {e.id: e for e in experiments}
    found: dict[str, int] = {}
    for e in sorted(experiments, key=lambda e: (e.role is Role.CANDIDATE, e.number)):
        # Parents are older, so that one pass in order is enough; an odd archive cannot make it loop.
        above = [found[p] for p in e.parents if p in found and p in known]
        found[e.id] = 1 + max(above) if above else 0
    return found


def seconds_measured(story: Story) -> float:
    """Wall seconds that training and scoring took, all runs together."""
    return math.fsum(m.train_seconds + m.eval_seconds for e in story.experiments for m in e.measurements)
