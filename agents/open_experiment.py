"""What an experiment starts with: its row, its parents, a conversation of five agents, and its durable steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

from move37.agents import context_builder, precedents, prompts, tools
from move37.agents.bookkeeping import store_seconds
from move37.agents.context import CampaignContext
from move37.agents.conversation import Conversation
from move37.agents.directions import matches
from move37.agents.errors import BudgetSpent
from move37.agents.events import ExperimentUpdated, Spoke
from move37.agents.experiment_context import ExperimentContext, comparable
from move37.agents.ledger import handed_over, source_of
from move37.agents.messages import Opening, Precedents
from move37.agents.replies import Proposals
from move37.agents.results import ParentsResult
from move37.agents.roles import MEMBERS, CallUsage, Member, RoleContext
from move37.agents.steps import Steps
from move37.lab.archive.message import Message
from move37.lab.archive.store import ModelCall
from move37.lab.parents import draw_parents
from move37.lab.records import Experiment, Role

PROPOSAL = "proposal"  # stage of a message that hands over a hypothesis
Limit = Callable[[], str]  # which limit of the campaign is reached, or ""


def begin(campaign: CampaignContext, number: int) -> Experiment:
    """Begin candidate `number`: its row, its parents, and the user's hypothesis where one is queued."""
    known, wanted = comparable(campaign), campaign.inbox.directions
    drawn = draw_parents(
        known,
        metric=campaign.task.metric,
        seed=campaign.record.brief.seed,
        number=number,
        campaign=campaign.record.id,
        pinned=_meant(wanted.pinned, known),
        banned=_meant(wanted.banned, known),
        cell_of=lambda e: _cell(campaign, e),
    )
    experiment = campaign.archive.begin_experiment(
        campaign.record.id,
        number,
        Role.CANDIDATE,
        parents=tuple(p.experiment for p in drawn),
        environment=campaign.environment,
    )
    if not experiment.stages:
        campaign.archive.finish_stage(experiment.id, "parents", ParentsResult(drawn=drawn))
        if (said := campaign.inbox.take_proposal()) is not None:
            handed = replace(said, to="Researcher", experiment=experiment.id, stage=PROPOSAL)
            campaign.archive.heard(campaign.record.id, handed)
    campaign.on_event(ExperimentUpdated(experiment=experiment))
    return experiment


def open_experiment(campaign: CampaignContext, experiment: Experiment, limit: Limit) -> tuple[ExperimentContext, Steps]:
    """The conversation about one experiment, and its durable steps."""
    ident = experiment.id

    async def answer(opening: Opening, proposals: Proposals) -> Precedents:
        known = comparable(campaign)
        return await precedents.answer(
            opening,
            proposals,
            memory=campaign.memory,
            experiments=known,
            operators_of=campaign.operators_of,
            banned=_meant(campaign.inbox.directions.banned, known),
        )

    talk = Conversation(inbox=campaign.inbox, on_message=lambda said: _said(campaign, ident, said), answer=answer)
    proposed = [m.text for m in campaign.archive.lines(ident) if m.user and m.stage == PROPOSAL]
    handed = tuple(handed_over(text, comparable(campaign)) for text in proposed)
    ctx = ExperimentContext(campaign=campaign, id=ident, number=experiment.number, talk=talk, proposals=handed)
    for member in MEMBERS:
        talk.join(campaign.scientists[member.name].agent_factory(_role_context(ctx, member, limit)))
    steps = Steps(
        campaign.archive, ident, campaign.on_event, on_begin=talk.enter, on_stored=partial(store_seconds, campaign)
    )
    return ctx, steps


def _role_context(ctx: ExperimentContext, member: Member, limit: Limit) -> RoleContext:
    campaign = ctx.campaign

    async def before() -> None:
        await campaign.inbox.while_paused()
        if reason := limit():
            raise BudgetSpent(reason)

    def after(used: CallUsage) -> None:
        count(campaign, ctx.id, member, used)

    return RoleContext(
        member=member,
        number=ctx.number,
        task=context_builder.task_card(campaign),
        stage=lambda: ctx.talk.stage,
        before=before,
        after=after,
        failed=ctx.talk.failed,
        interruptions=lambda: campaign.inbox.interruptions,
        interjected=lambda: ctx.talk.interject(member.name),
        tools=cache(lambda: tools.for_role(member.name, ctx)),
        context_tokens=campaign.limits.context_tokens,
    )


def count(campaign: CampaignContext, experiment: str | None, member: Member, used: CallUsage) -> None:
    """Add one model call to the budget and to the archive."""
    cost = campaign.prices(member.name, used.prompt_tokens, used.completion_tokens, used.cached_tokens)
    campaign.usage.add(used.prompt_tokens + used.completion_tokens, cost)
    call = ModelCall(
        role=member.name,
        model=campaign.scientists[member.name].signature,
        prompt_version=prompts.version(member.prompt),
        prompt_tokens=used.prompt_tokens,
        completion_tokens=used.completion_tokens,
        cost=cost,
        seconds=used.seconds,
        waited=used.waited,
        cached_tokens=used.cached_tokens,
        attempts=used.attempts,
    )
    campaign.archive.log_call(campaign.record.id, experiment, call)


def _said(campaign: CampaignContext, experiment: str, said: Message) -> None:
    message = replace(said, experiment=experiment)
    (campaign.archive.heard if message.user else campaign.archive.say)(campaign.record.id, message)
    campaign.on_event(Spoke(experiment=experiment, source=said.source, to=said.to, text=said.text))


def _cell(campaign: CampaignContext, experiment: Experiment) -> tuple[str, ...]:
    """Family and size of the state: half the heads hold a state twice as large."""
    used = campaign.operators_of(source_of(experiment))
    size = "large state" if "fewer_heads" in used else "small state" if "more_heads" in used else "usual state"
    return experiment.family, size


def _meant(words: Sequence[str], experiments: Sequence[Experiment]) -> tuple[str, ...]:
    """The ids that pinned or banned words refer to."""
    return tuple(e.id for e in experiments if any(matches(w, ident=e.id, name=e.name, family=e.family) for w in words))
