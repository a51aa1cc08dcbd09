"""From archive and memory to a `ResearchContext`: `recall` before a hypothesis, `at_stage` for what comes later.

The rows are made in ledger.py and record.py, which are pure; here they are read and put together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from move37.agents import ledger, record
from move37.agents.context import CampaignContext
from move37.agents.events import Notice
from move37.agents.experiment_context import ExperimentContext, baselines_of, comparable
from move37.agents.planning import plans_of
from move37.agents.research_context import BudgetFacts, ParentFacts, ResearchContext, TaskCard
from move37.agents.search.plans import plan_of_file, was_changed
from move37.lab.archive import principles
from move37.lab.principles import concerns
from move37.lab.probes.run import CHANCE
from move37.lab.records import Experiment, Hypothesis, Role
from move37.memory.errors import MemoryFault
from move37.memory.records import ProbeResult, Recollection, Situation


async def recall(ctx: ExperimentContext) -> ResearchContext:
    """Everything that Researcher and Critic start from; memory is asked with what was seen."""
    context = at_stage(ctx)
    campaign, limits = ctx.campaign, ctx.campaign.limits
    everybody = comparable(campaign)
    try:
        found = await campaign.memory.recall(
            situation(context, [e for e in everybody if e.id in {p.id for p in context.parents}]),
            k=limits.recollections,
            budget_tokens=limits.recollection_tokens,
            task=campaign.task.name,
            kinds=campaign.recalled,
            shown=_shown(everybody),
        )
    except MemoryFault as error:
        campaign.on_event(Notice(text=f"{ctx.id} starts without recollections: {error}"))
        found = ()
    return at_stage(ctx, recollections=found)


def at_stage(
    ctx: ExperimentContext, *, hypothesis: Hypothesis | None = None, recollections: Sequence[Recollection] = ()
) -> ResearchContext:
    """The context as the archive knows it now; with a `hypothesis` its base stands first among the parents."""
    campaign = ctx.campaign
    others = [e for e in comparable(campaign) if e.id != ctx.id]
    plans = [plan for e in others if e.hypothesis is not None for plan in _plans(e, e.hypothesis)]
    fitted = record.operator_record(others, campaign.task.metric, campaign.operators_of)
    begun = ResearchContext(
        experiment=ctx.id,
        number=ctx.number,
        seed=campaign.record.brief.seed,
        campaign=campaign.record.id,
        task=task_card(campaign),
        ideas_wanted=ideas_wanted(campaign),
        plans=plans_of(campaign.scientists, task=campaign.task.name, wanted=campaign.limits.plans),
        direction=campaign.record.brief.text,
        proposals=ctx.proposals,
        said=_said(ctx),
        ruled_out=campaign.inbox.directions.banned,
        parents=_parents(ctx, others, hypothesis),
        recollections=tuple(recollections),
        operators=record.operator_facts(fitted),
        operator_scale=fitted.scale,
        scatter=fitted.scatter,
        adding=fitted.adding,
        tried_plans=tuple(plans),
        budget=_budget(campaign, others, ctx.number),
        hypothesis=hypothesis,
    )
    return as_known_now(begun, campaign, others)


def beside(campaign: CampaignContext) -> ResearchContext:
    """What is known, for who looks on and has no experiment of its own."""
    others = comparable(campaign)
    begun = [e for e in ledger.candidates(others) if e.campaign == campaign.record.id and e.hypothesis is not None]
    empty = ResearchContext(
        experiment="",
        number=0,
        seed=campaign.record.brief.seed,
        campaign=campaign.record.id,
        task=task_card(campaign),
        direction=campaign.record.brief.text,
        ruled_out=campaign.inbox.directions.banned,
        budget=_budget(campaign, others, len(begun) + 1),
    )
    return as_known_now(empty, campaign, others)


def as_known_now(context: ResearchContext, campaign: CampaignContext, others: Sequence[Experiment]) -> ResearchContext:
    """The context with what the archive says of `others` now: principles, leaderboard, ledger, best, pool."""
    metric, best = campaign.task.metric, ledger.best_candidate(others, campaign.task.metric)
    return replace(
        context,
        principles=tuple(p for p in principles.standing(campaign.archive) if concerns(p, {e.id for e in others})),
        leaderboard=ledger.leaderboard(others, metric),
        ledger=ledger.ledger(others, metric),
        best=ledger.parent(best, others, metric, why="the best candidate so far")
        if best is not None and best.id not in {p.id for p in context.parents}
        else None,
        pool=ledger.pool(others),
        in_flight=ledger.in_flight(others, campaign.record.id),
    )


def _plans(experiment: Experiment, hypothesis: Hypothesis) -> Iterator[str]:
    """What it proposed, and what ran where that was changed from it: both were tried."""
    if hypothesis.plan:
        yield hypothesis.plan
    if was_changed(hypothesis.plan, source := ledger.source_of(experiment)):
        yield plan_of_file(source, family="", is_baseline=False)


def task_card(campaign: CampaignContext) -> TaskCard:
    """What does not change within a campaign."""
    task = campaign.task
    limits = [g.limit for e in baselines_of(campaign) for g in e.gates if g.name == "parameters" and g.limit]
    facts = dict(task.facts) | ({"parameters of a candidate": f"at most {limits[0]:.0f}"} if limits else {})
    return TaskCard(
        name=task.name,
        metric=task.metric,
        contract=task.contract,
        facts=facts,
        uses_kernels=task.uses_kernels,
    )


def ideas_wanted(campaign: CampaignContext) -> int:
    """A language model is asked for several at once where another ranks them; the search draws one, and ranks none."""
    several = all(campaign.scientists[role].uses_language for role in ("Researcher", "Critic"))
    return campaign.limits.ideas if several else 1


def situation(context: ResearchContext, parents: Sequence[Experiment]) -> Situation:
    """What memory is asked from: what the user wants, the parents' families, their probes, what was seen with them."""
    analyses = [e.analysis for e in parents if e.analysis is not None]
    seen = [s for a in analyses for s in (*a.symptoms, a.next) if s]
    return Situation(
        direction="\n".join(t for t in (context.direction.strip(), *context.proposals, *context.said) if t),
        families=tuple(dict.fromkeys(e.family for e in parents if e.family)),
        probes=tuple(
            ProbeResult(name=m.metric, value=m.value, chance=CHANCE.get(m.metric))
            for e in parents
            for m in e.measurements
            if m.rung == 1 and m.is_sound
        ),
        symptoms=tuple(seen),
    )


def _parents(
    ctx: ExperimentContext, others: Sequence[Experiment], hypothesis: Hypothesis | None
) -> tuple[ParentFacts, ...]:
    metric = ctx.campaign.task.metric
    own = ctx.campaign.archive.experiment(ctx.id)
    reasons = _reasons(own)
    wanted = [*([hypothesis.base] if hypothesis and hypothesis.base else []), *own.parents]
    by_id = {e.id: e for e in others}
    chosen = [by_id[ident] for ident in dict.fromkeys(wanted) if ident in by_id]
    return tuple(ledger.parent(e, others, metric, why=reasons.get(e.id, "")) for e in chosen)


def _reasons(experiment: Experiment) -> Mapping[str, str]:
    """Why each parent was drawn, as stored when it was."""
    drawn = next((s.payload.get("drawn") for s in experiment.stages if s.stage == "parents"), None)
    return {str(p["experiment"]): str(p["why"]) for p in drawn} if isinstance(drawn, list) else {}


def _said(ctx: ExperimentContext) -> tuple[str, ...]:
    """What the user wants of every experiment, and said in earlier stages of this one; decisions left out."""
    now = ctx.talk.stage
    lines = [m for m in ctx.campaign.archive.lines(ctx.id) if m.user and m.stage not in ("proposal", now)]
    return (*ctx.campaign.inbox.directions.lines, *(m.text for m in lines if not m.text.startswith("/")))


def _shown(experiments: Sequence[Experiment]) -> Mapping[str, int]:
    """How often each recollection was shown: those that were shown often rank lower."""
    keys: Counter[str] = Counter()
    for e in experiments:
        for stage in e.stages:
            found = stage.payload.get("recollected")
            keys.update(str(k) for k in found if k) if isinstance(found, list) else None
    return keys


def _budget(campaign: CampaignContext, others: Sequence[Experiment], number: int) -> BudgetFacts:
    first = campaign.schedule.rungs[0]
    measured = [e for e in others if e.role is Role.CANDIDATE and e.measurements]
    seconds = [
        m.train_seconds + m.eval_seconds
        for e in measured or others  # before the first candidate baselines tell what a training takes
        for m in e.measurements
        if m.steps == first.steps and not m.fresh and m.rung == first.number
    ]
    limit = campaign.budget.tokens
    return BudgetFacts(
        experiments_left=max(0, campaign.record.brief.budget - number + 1),
        seconds_left=campaign.clock.left,
        tokens_left=None if limit is None else max(0, limit - campaign.usage.tokens),
        next_rung=first.name,
        next_rung_seconds=sum(seconds) / len(seconds) if seconds else None,
    )
