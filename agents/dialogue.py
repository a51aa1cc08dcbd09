"""The stages in which agents talk: negotiate, write, explain. Memory's own stages stand in remembering.py.

In the order of the cycle. Each returns a record of results.py; a hypothesis that is refused is such a record, an
exception means that something of ours broke. Gates, training and verdicts stand in execution.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from textwrap import shorten

from move37.agents import context_builder, ledger, record
from move37.agents.approval import Doubt, is_close, may_ask_again
from move37.agents.edits import EditRefused, written
from move37.agents.errors import BudgetSpent, ModelReplyInvalid
from move37.agents.events import Notice
from move37.agents.experiment_context import ExperimentContext, baselines_of, comparable, last
from move37.agents.messages import Opening, Precedents, Refused, Results
from move37.agents.precedents import changed, resolved
from move37.agents.replies import Code, Proposals, Report
from move37.agents.research_context import ResearchContext
from move37.agents.results import AnalysisResult, CodeResult, Idea, NegotiationResult
from move37.agents.search.plans import CODE_GENERATOR, family_of_file, file_of_plan
from move37.agents.team import Settled, negotiation, settled, single
from move37.lab.effects import base_of, effects_of
from move37.lab.parents import draw_key
from move37.lab.records import Analysis, Candidate, Effects, Experiment, Forecast, Hypothesis, Measurement

MOST_REWRITES = 2  # answers that make no file, after the first
LONGEST_LESSON = 200  # characters of why nothing was measured, in a lesson


async def negotiate(ctx: ExperimentContext, known: ResearchContext) -> NegotiationResult:
    """Researcher and Critic, until one is convinced or the rounds end; then the user, where asked for."""
    campaign = ctx.campaign
    try:
        replies = await ctx.talk.hold([Opening(context=known)], negotiation(campaign.limits.negotiation_rounds))
    except ModelReplyInvalid as error:
        kept = _unjudged(ctx)
        return NegotiationResult(hypothesis=None, accepted=False, malformed=True, reason=str(error), ideas=kept)
    if not any(isinstance(r, Proposals) and r.ideas for r in replies):
        return NegotiationResult(hypothesis=None, accepted=False, reason="the Researcher proposed nothing")
    end = settled(replies)
    bases = resolved(comparable(campaign))
    hypothesis = _hypothesis(end, bases, ctx)
    accepted, reason = end.accepted, end.reason
    if not accepted and end.critique is not None and not end.critique.accept and _tried_anyway(ctx):
        hypothesis, accepted = replace(hypothesis, refused=reason), True
    objections = sum(getattr(r, "accept", True) is False for r in replies)
    ideas = tuple(
        Idea(hypothesis=idea.hypothesis(base=bases.get(idea.base, ""), author="Researcher"), reason=why)
        for idea, why in end.others
    )
    toss_up = accepted and _toss_up(ctx, hypothesis, ideas)
    doubt: Doubt | None = "contested" if objections else "close" if toss_up else None
    text = f"{hypothesis.change}{_instead(ctx, ideas[0].hypothesis)}" if toss_up else hypothesis.change
    if accepted and (veto := await campaign.approvals.asked(ctx.id, "hypothesis", text, doubt=doubt)):
        accepted, reason = False, f"vetoed by the user: {veto}"
    _tell_of_ideas(ctx, end)
    parents = tuple(dict.fromkeys(p for p in (hypothesis.base, bases.get(end.proposal.second, "")) if p))
    return NegotiationResult(
        hypothesis=hypothesis,
        accepted=accepted,
        reason=reason,
        objections=objections,
        parents=parents,
        ideas=ideas,
        idea=end.proposal.idea,
        recollected=tuple(r.key for r in known.recollections),
        toss_up=toss_up,
    )


def _unjudged(ctx: ExperimentContext) -> tuple[Idea, ...]:
    """What was proposed where no valid reply came to it: the lab found nothing wrong with it, and others may try it."""
    *said, last = (Proposals(), *ctx.talk.replies)
    offer = next((r for r in reversed(said) if isinstance(r, Proposals)), Proposals())
    if not isinstance(last, Precedents) or last.problems:
        return ()
    bases, why = resolved(comparable(ctx.campaign)), "nobody judged it: no valid reply came to it"
    return tuple(
        Idea(hypothesis=idea.hypothesis(base=bases.get(idea.base, ""), author="Researcher"), reason=why)
        for idea in offer.ideas
    )


def _toss_up(ctx: ExperimentContext, hypothesis: Hypothesis, ideas: Sequence[Idea]) -> bool:
    """Whether the second idea is as promising, and it is this experiment's turn to say so."""
    if not ideas or not is_close(hypothesis.forecasts, ideas[0].hypothesis.forecasts):
        return False
    stages = (s for e in ctx.campaign.archive.experiments(ctx.campaign.record.id) for s in e.stages)
    return may_ask_again(sum(s.payload.get("toss_up") is True for s in stages), ctx.number)


def _instead(ctx: ExperimentContext, second: Hypothesis) -> str:
    """What else could be tried, for the user who is asked."""
    return (
        f"\nAs promising, by their author's own forecasts: {second.name}: {second.change}"
        f"\nTo try that one instead: /veto {ctx.id}, then /propose {ctx.id}.1"
    )


def _tell_of_ideas(ctx: ExperimentContext, end: Settled) -> None:
    """Tell the user which other ideas were proposed."""
    if end.others:
        named = ", ".join(f"{ctx.id}.{n} {idea.name}" for n, (idea, _) in enumerate(end.others, start=1))
        ctx.campaign.on_event(
            Notice(text=f"Not chosen, kept as ideas: {named}. /ideas shows them, /propose takes one up.")
        )


def _tried_anyway(ctx: ExperimentContext) -> bool:
    """Whether this refused hypothesis is tried all the same: a draw that is equal after a resume."""
    campaign = ctx.campaign
    draw = Random(f"refused:{draw_key(campaign.record.brief.seed, ctx.number, campaign.record.id)}").random()
    return draw < campaign.limits.refusals_tried


def _hypothesis(end: Settled, bases: dict[str, str], ctx: ExperimentContext) -> Hypothesis:
    """The chosen proposal as the lab's record, with the forecasts that were made before the run."""
    first = end.proposal.hypothesis(base=bases.get(end.proposal.base, ""), author="Researcher")
    forecasts: tuple[Forecast, ...] = first.forecasts
    if end.critique is not None and end.critique.prediction is not None:
        forecasts = (*forecasts, end.critique.prediction.forecast("Critic"))
    campaign = ctx.campaign
    others = comparable(campaign)
    gained, lost = changed(end.proposal, others, campaign.operators_of)
    fitted = record.operator_record(others, campaign.task.metric, campaign.operators_of)
    by_record = record.forecast(fitted, gained, lost, first.family)
    return replace(first, forecasts=forecasts if by_record is None else (*forecasts, by_record))


async def write(ctx: ExperimentContext, agreed: NegotiationResult) -> CodeResult:
    """The Engineer's file for an accepted hypothesis; an edit that does not fit is answered with the reason."""
    assert agreed.hypothesis is not None
    campaign = ctx.campaign
    context = context_builder.at_stage(ctx, hypothesis=agreed.hypothesis)
    if (candidate := _planned(agreed.hypothesis)) is not None and context.plans == "may":
        ctx.talk.tell(f"The plan of {agreed.hypothesis.name} is turned into code as it stands.", to="Engineer")
        return await _approved(ctx, candidate)
    base = next((p.source for p in context.parents if p.id == agreed.hypothesis.base), "")
    problem = ""
    for _ in range(MOST_REWRITES + 1):
        opening = [Opening(context=context), *([_unwritten(base, problem)] if problem else [])]
        try:
            code = last(await ctx.talk.hold(opening, single("Engineer")), Code)
        except ModelReplyInvalid as error:
            return CodeResult(candidate=None, reason=str(error))
        try:
            source = written(code.source, code.edits, base)
        except EditRefused as error:
            problem = str(error)
            continue
        author = campaign.scientists["Engineer"].signature
        family = family_of_file(source) or agreed.hypothesis.family
        return await _approved(ctx, Candidate(source=source, author=author, family=family))
    return CodeResult(candidate=None, reason=f"the Engineer wrote no file: {problem}")


def _planned(hypothesis: Hypothesis) -> Candidate | None:
    """The file of the hypothesis's plan, where it has one."""
    source = file_of_plan(hypothesis.plan, name=hypothesis.name, motivation=hypothesis.motivation)
    return Candidate(source=source, author=CODE_GENERATOR, family=hypothesis.family) if source else None


async def _approved(ctx: ExperimentContext, candidate: Candidate) -> CodeResult:
    """The file, unless the user refuses it."""
    if veto := await ctx.campaign.approvals.asked(ctx.id, "code", candidate.source):
        return CodeResult(candidate=None, vetoed=True, reason=f"vetoed by the user: {veto}")
    return CodeResult(candidate=candidate)


def _unwritten(base: str, problem: str) -> Refused:
    return Refused(candidate=Candidate(source=base, author="the base", attempt=1), gates=(), problem=problem)


async def explain(ctx: ExperimentContext) -> AnalysisResult:
    """The Analyst's report on what the archive holds now: a failure is explained like a success."""
    campaign = ctx.campaign
    experiment = campaign.archive.experiment(ctx.id)
    context = context_builder.at_stage(ctx, hypothesis=experiment.hypothesis)
    opening = [Opening(context=context), results_of(ctx, experiment)]
    try:
        report = last(await ctx.talk.hold(opening, single("Analyst")), Report)
    except (ModelReplyInvalid, BudgetSpent) as error:
        return AnalysisResult(
            analysis=_plain(experiment.hypothesis, ledger.screening(experiment), experiment.reason, str(error))
        )
    analyst = campaign.scientists["Analyst"]
    analysis = report.analysis(author=analyst.signature)
    return AnalysisResult(analysis=grounded(analysis, experiment) if analyst.uses_language else analysis)


def grounded(analysis: Analysis, experiment: Experiment) -> Analysis:
    """The Analyst's words, with the lab's own before them where nothing was measured.

    A model was seen to name the gain of an idea that the Critic had refused; every later prompt and memory would have
    read it. What was never written shows nothing: its "seen", "lesson" and "symptoms" are the lab's alone. Pure.
    """
    if experiment.measurements:
        return analysis
    fact = f"Nothing was measured: {experiment.reason or 'it ended before'}"
    lesson = shorten(fact, LONGEST_LESSON, placeholder=" ...")
    if experiment.candidate is None:
        return replace(analysis, seen=fact, lesson=lesson, symptoms=())
    words = f"{lesson.rstrip('.')}. {analysis.lesson}" if analysis.lesson else lesson
    return replace(analysis, seen=f"{fact.rstrip('.')}. {analysis.seen}", lesson=words)


def results_of(ctx: ExperimentContext, experiment: Experiment) -> Results:
    """The numbers, beside those of the baselines and of what it was made from, at the same metrics and steps."""
    metric, everybody = ctx.campaign.task.metric, comparable(ctx.campaign)
    own, base = ledger.screening(experiment), base_of(experiment, everybody)
    points = {(m.metric, m.steps) for m in own}

    def same(other: Experiment) -> tuple[Measurement, ...]:
        return tuple(m for m in ledger.screening(other) if (m.metric, m.steps) in points)

    return Results(
        measurements=own,
        baselines={b.name: same(b) for b in baselines_of(ctx.campaign)},
        parents={e.id: same(e) for e in everybody if e.id in experiment.parents},
        effects=effects_of(experiment, everybody, metric) if experiment.measurements else Effects(),
        verdict=experiment.verdict.text if experiment.verdict else "",
        gates=tuple(g for g in experiment.gates if g.passed is not True),
        failure=experiment.reason,
        source=ledger.source_of(experiment),
        diff=ledger.diff(base, experiment) if base and experiment.candidate else "",
    )


def _plain(hypothesis: Hypothesis | None, measurements: tuple[Measurement, ...], reason: str, error: str) -> Analysis:
    numbers = ", ".join(f"{m.metric} {m.value:.6g} at {m.steps} steps" for m in measurements) or "no measurement"
    return Analysis(
        expected=hypothesis.predicted_effect if hypothesis else "nothing was proposed",
        seen=f"{numbers}. {reason}".strip(),
        why=f"not analysed: {error}",
        next="ask a model that answers in the requested form",
        author="the lab, without a model",
    )
