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
from move37.agents.experiment_context import ExperimentContext, baselines_of, comparable, last, opener
from move37.agents.replies import Code, Report
from move37.agents.results import AnalysisResult, CodeResult, MemoryResult, NegotiationResult
from move37.agents.team import negotiation, settled, single
from move37.lab.archive.store import now
from move37.lab.parents import effect_of
from move37.lab.records import Analysis, Experiment, Hypothesis, Measurement, Role
from move37.memory.errors import MemoryFault
from move37.memory.records import Effect, Effects, Lesson, Probe

NORMAL_WIDTH = 3.92  # standard errors in a 95 % interval


async def recall(ctx: ExperimentContext) -> Past:
    """Parents from the archive, advice from memory, and the record of what was tried."""
    campaign, metric = ctx.campaign, ctx.campaign.task.metric
    others = [e for e in comparable(campaign) if e.id != ctx.id]
    baselines = [e for e in others if e.role is Role.BASELINE]
    chosen = campaign.archive.experiment(ctx.id).parents
    parents = tuple((e, effect_of(e, baselines, metric)) for e in others if e.id in chosen)
    asked = briefing.question(campaign.record.brief.text, parents, ctx.proposals)
    limits = campaign.limits
    try:
        found = await campaign.memory.recall(
            asked,
            k=limits.recollections,
            budget_tokens=limits.recollection_tokens,
            task=campaign.task.name,
            kinds=limits.memory,
        )
    except MemoryFault as error:
        campaign.on_event(Notice(text=f"{ctx.id} starts without recollections: {error}"))
        found = ()
    return Past(
        parents=parents,
        recollections=found,
        operators=briefing.operator_records(others, metric, campaign.operators_of),
        tried_plans=tuple(e.hypothesis.plan for e in others if e.hypothesis is not None and e.hypothesis.plan),
        person=ctx.proposals,
    )


async def negotiate(ctx: ExperimentContext, past: Past) -> NegotiationResult:
    """Researcher and Critic, until one is convinced or the rounds end; then the person, where asked for."""
    campaign = ctx.campaign
    opening = briefing.for_hypothesis(
        task=campaign.task.name,
        metric=campaign.task.metric,
        contract=campaign.task.contract,
        seed=campaign.record.brief.seed,
        number=ctx.number,
        direction=campaign.record.brief.text,
        past=past,
    )
    try:
        replies = await ctx.talk.hold(
            opener("open_hypothesis", opening, experiment=ctx.id), negotiation(campaign.limits.negotiation_rounds)
        )
    except ModelReplyInvalid as error:
        return NegotiationResult(hypothesis=None, accepted=False, malformed=True, reason=str(error))
    proposal, accepted, reason = settled(replies)
    objections = sum(getattr(r, "accept", True) is False for r in replies)
    hypothesis = proposal.hypothesis()
    if accepted and (veto := await campaign.approvals.asked(ctx.id, "hypothesis", hypothesis.change)):
        accepted, reason = False, f"vetoed by the person: {veto}"
    return NegotiationResult(hypothesis=hypothesis, accepted=accepted, reason=reason, objections=objections)


async def write(ctx: ExperimentContext, agreed: NegotiationResult) -> CodeResult:
    """The Engineer's file for an accepted hypothesis."""
    assert agreed.hypothesis is not None
    campaign = ctx.campaign
    opening = briefing.for_candidate(agreed.hypothesis, number=ctx.number)
    try:
        replies = await ctx.talk.hold(opener("open_candidate", opening), single("Engineer"))
    except ModelReplyInvalid as error:
        return CodeResult(candidate=None, reason=str(error))
    code = last(replies, Code)
    candidate = code.candidate(author=campaign.signatures["Engineer"], family=agreed.hypothesis.family)
    if veto := await campaign.approvals.asked(ctx.id, "code", candidate.source):
        return CodeResult(candidate=None, vetoed=True, reason=f"vetoed by the person: {veto}")
    return CodeResult(candidate=candidate)


async def explain(ctx: ExperimentContext) -> AnalysisResult:
    """The Analyst's report on what the archive holds now: a failure is explained like a success."""
    campaign = ctx.campaign
    experiment = campaign.archive.experiment(ctx.id)
    baselines = baselines_of(campaign)
    opening = briefing.for_analysis(
        experiment, baselines=baselines, effect=effect_of(experiment, baselines, campaign.task.metric)
    )
    try:
        report = last(await ctx.talk.hold(opener("open_analysis", opening), single("Analyst")), Report)
    except ModelReplyInvalid as error:
        return AnalysisResult(
            analysis=_plain(experiment.hypothesis, experiment.measurements, experiment.reason, str(error))
        )
    return AnalysisResult(analysis=report.analysis(author=campaign.signatures["Analyst"]))


async def keep(ctx: ExperimentContext) -> MemoryResult:
    """The lesson goes to memory; memory queues it on disk when its store is gone."""
    campaign = ctx.campaign
    experiment = campaign.archive.experiment(ctx.id)
    assert experiment.analysis is not None
    fresh = {m.seed for m in experiment.measurements if m.fresh}
    base = campaign.archive.experiment(experiment.parents[0]) if experiment.parents else None
    used, base_uses = (
        campaign.operators_of(e.candidate.source) if e is not None and e.candidate is not None else ()
        for e in (experiment, base)
    )
    await campaign.memory.remember(
        Lesson(
            experiment=experiment.id,
            task=campaign.task.name,
            name=experiment.name,
            family=experiment.family,
            parents=experiment.parents,
            status=experiment.status.value,
            rung=experiment.rung,
            operators=tuple(used),
            gained=tuple(o for o in used if o not in base_uses),
            lost=tuple(o for o in base_uses if o not in used),
            base=base.id if base is not None else "",
            expected=experiment.analysis.expected,
            seen=experiment.analysis.seen,
            why=experiment.analysis.why,
            next=experiment.analysis.next,
            symptoms=experiment.analysis.symptoms,
            effects=Effects(best=_against_the_best(experiment)),
            steps=max((m.steps for m in experiment.measurements), default=0),
            seeds=len(fresh) or len({m.seed for m in experiment.measurements}),
            probes=tuple(Probe(name=m.metric, value=m.value) for m in experiment.measurements if m.rung == 1),
            gate=next((g.name for g in experiment.gates if g.passed is False), ""),
            finished_at=now(),
        )
    )
    return MemoryResult()


def _against_the_best(experiment: Experiment) -> Effect | None:
    """The verdict's effect, with the standard error that its interval implies."""
    verdict = experiment.verdict
    if verdict is None:
        return None
    known = verdict.low is not None and verdict.high is not None
    width = verdict.high - verdict.low if known else None  # type: ignore[operator]
    return Effect(gain=verdict.effect, error=width / NORMAL_WIDTH if width is not None else None)


def _plain(hypothesis: Hypothesis | None, measurements: Sequence[Measurement], reason: str, error: str) -> Analysis:
    numbers = ", ".join(f"{m.metric} {m.value:.3f} at {m.steps} steps" for m in measurements) or "no measurement"
    return Analysis(
        expected=hypothesis.predicted_effect if hypothesis else "nothing was proposed",
        seen=f"{numbers}. {reason}".strip(),
        why=f"not analysed: {error}",
        next="ask a model that answers in the requested form",
        author="the lab, without a model",
    )
