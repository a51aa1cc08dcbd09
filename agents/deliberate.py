"""The stages in which agents talk or memory is asked: recall, negotiate, write, explain, keep.

In the order of the cycle. Each returns a record of results.py; a hypothesis that is refused is such a record, an
exception means that something of ours broke. Gates, training and verdicts stand in verify.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from move37.agents import briefing
from move37.agents.briefing import Past
from move37.agents.errors import ModelReplyInvalid
from move37.agents.events import Notice
from move37.agents.replies import Code, Report
from move37.agents.results import Agreed, Explained, Kept, Written
from move37.agents.table import Table, comparable, last, opener, the_baselines
from move37.agents.team import negotiation, settled, single
from move37.lab.archive.store import now
from move37.lab.parents import effect_of
from move37.lab.records import Analysis, Experiment, Hypothesis, Measurement, Role
from move37.memory.errors import MemoryFault
from move37.memory.records import Lesson


async def recall(table: Table) -> Past:
    """Parents from the archive, advice from memory, and the record of what was tried."""
    room, metric = table.room, table.room.task.metric
    others = [e for e in comparable(room) if e.id != table.id]
    baselines = [e for e in others if e.role is Role.BASELINE]
    chosen = room.archive.experiment(table.id).parents
    parents = tuple((e, effect_of(e, baselines, metric)) for e in others if e.id in chosen)
    asked = briefing.question(room.campaign.brief.text, parents, table.proposals)
    manners = room.manners
    try:
        found = await room.memory.recall(
            asked, k=manners.recollections, budget_tokens=manners.recollection_tokens, kinds=manners.memory
        )
    except MemoryFault as error:
        room.on_event(Notice(text=f"{table.id} starts without recollections: {error}"))
        found = ()
    return Past(
        parents=parents,
        recollections=found,
        operators=briefing.operator_records(others, metric, room.operators_of),
        tried_plans=tuple(e.hypothesis.plan for e in others if e.hypothesis is not None and e.hypothesis.plan),
        person=table.proposals,
    )


async def negotiate(table: Table, past: Past) -> Agreed:
    """Researcher and Critic, until one is convinced or the rounds end; then the person, where asked for."""
    room = table.room
    opening = briefing.for_hypothesis(
        task=room.task.name,
        metric=room.task.metric,
        contract=room.task.contract,
        seed=room.campaign.brief.seed,
        number=table.number,
        direction=room.campaign.brief.text,
        past=past,
    )
    try:
        replies = await table.talk.hold(
            opener("open_hypothesis", opening, experiment=table.id), negotiation(room.manners.negotiation_rounds)
        )
    except ModelReplyInvalid as error:
        return Agreed(hypothesis=None, accepted=False, malformed=True, reason=str(error))
    proposal, accepted, reason = settled(replies)
    objections = sum(getattr(r, "accept", True) is False for r in replies)
    hypothesis = proposal.hypothesis()
    if accepted and (veto := await room.approvals.asked(table.id, "hypothesis", hypothesis.change)):
        accepted, reason = False, f"vetoed by the person: {veto}"
    return Agreed(hypothesis=hypothesis, accepted=accepted, reason=reason, objections=objections)


async def write(table: Table, agreed: Agreed) -> Written:
    """The Engineer's file for an accepted hypothesis."""
    assert agreed.hypothesis is not None
    room = table.room
    opening = briefing.for_candidate(agreed.hypothesis, number=table.number)
    try:
        replies = await table.talk.hold(opener("open_candidate", opening), single("Engineer"))
    except ModelReplyInvalid as error:
        return Written(candidate=None, reason=str(error))
    code = last(replies, Code)
    candidate = code.candidate(author=room.signatures["Engineer"], family=agreed.hypothesis.family)
    if veto := await room.approvals.asked(table.id, "code", candidate.source):
        return Written(candidate=None, vetoed=True, reason=f"vetoed by the person: {veto}")
    return Written(candidate=candidate)


async def explain(table: Table) -> Explained:
    """The Analyst's report on what the archive holds now: a failure is explained like a success."""
    room = table.room
    experiment = room.archive.experiment(table.id)
    baselines = the_baselines(room)
    opening = briefing.for_analysis(
        experiment, baselines=baselines, effect=effect_of(experiment, baselines, room.task.metric)
    )
    try:
        report = last(await table.talk.hold(opener("open_analysis", opening), single("Analyst")), Report)
    except ModelReplyInvalid as error:
        return Explained(analysis=_plain(experiment.hypothesis, experiment.measurements, experiment.reason, str(error)))
    return Explained(analysis=report.analysis(author=room.signatures["Analyst"]))


async def keep(table: Table) -> Kept:
    """The lesson goes to memory; memory queues it on disk when its store is gone."""
    room = table.room
    experiment = room.archive.experiment(table.id)
    assert experiment.analysis is not None
    verdict = experiment.verdict
    fresh = {m.seed for m in experiment.measurements if m.fresh}
    baselines = the_baselines(room)
    await room.memory.remember(
        Lesson(
            experiment=experiment.id,
            task=room.task.name,
            name=experiment.name,
            family=experiment.family,
            parents=experiment.parents,
            status=experiment.status.value,
            rung=experiment.rung,
            operators=tuple(room.operators_of(experiment.candidate.source)) if experiment.candidate else (),
            expected=experiment.analysis.expected,
            seen=experiment.analysis.seen,
            why=experiment.analysis.why,
            next=experiment.analysis.next,
            symptoms=experiment.analysis.symptoms,
            effect=verdict.effect if verdict else None,
            low=verdict.low if verdict else None,
            high=verdict.high if verdict else None,
            seeds=len(fresh) or len({m.seed for m in experiment.measurements}),
            deltas=_deltas(experiment.measurements, baselines),
            finished_at=now(),
        )
    )
    return Kept()


def _deltas(measurements: Sequence[Measurement], baselines: Sequence[Experiment]) -> dict[str, float]:
    deltas: dict[str, float] = {}
    for m in measurements:
        theirs = [o.value for b in baselines for o in b.measurements if (o.metric, o.steps) == (m.metric, m.steps)]
        if theirs:
            deltas[m.metric] = m.value - sum(theirs) / len(theirs)
    return deltas


def _plain(hypothesis: Hypothesis | None, measurements: Sequence[Measurement], reason: str, error: str) -> Analysis:
    numbers = ", ".join(f"{m.metric} {m.value:.3f} at {m.steps} steps" for m in measurements) or "no measurement"
    return Analysis(
        expected=hypothesis.predicted_effect if hypothesis else "nothing was proposed",
        seen=f"{numbers}. {reason}".strip(),
        why=f"not analysed: {error}",
        next="ask a model that answers in the requested form",
        author="the lab, without a model",
    )
