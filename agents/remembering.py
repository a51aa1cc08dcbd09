"""The stage after the analysis: the lesson goes to memory, by field."""

from __future__ import annotations

from collections.abc import Sequence

from move37.agents import ledger
from move37.agents.experiment_context import ExperimentContext, comparable
from move37.agents.results import MemoryResult
from move37.lab import records
from move37.lab.archive.message import now
from move37.lab.effects import base_of
from move37.lab.probes.run import CHANCE
from move37.lab.records import Experiment, Metric
from move37.memory.records import Lesson, MeasuredEffect, MeasuredEffects, ProbeResult


async def keep(ctx: ExperimentContext) -> MemoryResult:
    """Send the lesson to memory, which queues it on disk while its store cannot be reached."""
    campaign, task = ctx.campaign, ctx.campaign.task
    experiment = campaign.archive.experiment(ctx.id)
    lesson = lesson_of(
        experiment, comparable(campaign), task=task.name, metric=task.metric, operators_of=campaign.operators_of
    )
    await campaign.memory.remember(lesson)
    return MemoryResult()


def lesson_of(
    experiment: Experiment,
    others: Sequence[Experiment],
    *,
    task: str,
    metric: Metric,
    operators_of: ledger.OperatorsOf,
) -> Lesson:
    """What one finished experiment taught, and its claim if one was asked. Raises `ValueError`: it was not analysed."""
    analysis = experiment.analysis
    if analysis is None:
        raise ValueError(f"{experiment.id} was not analysed")
    effects, claim = ledger.known_effects(experiment, others, metric), ledger.claimed(experiment, metric)
    base = base_of(experiment, others)
    used = tuple(operators_of(ledger.source_of(experiment)))
    before = tuple(operators_of(ledger.source_of(base))) if base else ()
    first = next((e for e in (effects.parent, effects.family, effects.best) if e is not None), None)
    written = experiment.candidate is not None
    return Lesson(
        experiment=experiment.id,
        task=task,
        name=experiment.name,
        family=experiment.family,
        parents=experiment.parents,
        status=experiment.status.value,
        rung=experiment.rung,
        operators=used,
        gained=tuple(o for o in used if o not in before) if base and written else (),
        lost=tuple(o for o in before if o not in used) if base and written else (),
        base=base.id if base else "",
        expected=analysis.expected,
        seen=analysis.seen,
        why=analysis.why,
        next=analysis.next,
        next_operators=analysis.next_operators,
        lesson=" ".join(part for part in (analysis.lesson, claim) if part),
        symptoms=analysis.symptoms,
        effects=MeasuredEffects(
            parent=_plain(effects.parent), family=_plain(effects.family), best=_plain(effects.best)
        ),
        steps=first.steps if first else 0,
        seeds=first.seeds if first else len({m.seed for m in experiment.measurements}),
        probes=tuple(
            ProbeResult(name=m.metric, value=m.value, chance=CHANCE.get(m.metric))
            for m in experiment.measurements
            if m.rung == 1
        ),
        gate=next((g.name for g in experiment.gates if g.passed is False), ""),
        finished_at=now(),
    )


def _plain(effect: records.Effect | None) -> MeasuredEffect | None:
    """As memory, which imports nothing of the lab, keeps it."""
    return None if effect is None else MeasuredEffect(gain=effect.value, error=effect.standard_error)
