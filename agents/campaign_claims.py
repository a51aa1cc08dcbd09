"""A campaign's last stage: the claim's questions are asked of candidates that beat both baselines on fresh seeds.

Read `confirm_standing` first. It asks what `move37 confirm` asks (`agents/discovery_claim.py`), for the clearest
candidate first and while the time lasts: by the preset (`Schedule.claims`), or because the brief says so. What is not
finished stays open and is reported; `move37 confirm ID` or `move37 resume` continues there. Messages stand as the Lab's
in the candidate's conversation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from move37.agents import discovery_claim, remembering
from move37.agents.bookkeeping import asked_once, tell_budget
from move37.agents.claim_ground import ClaimGround, ClaimWatch, ConfirmationRequest
from move37.agents.context import CampaignContext
from move37.agents.discovery_claim import BEGUN
from move37.agents.errors import NotConfirmable
from move37.agents.events import ExperimentUpdated, Notice, Spoke, StageFinished, StageStarted, TrainingUpdated
from move37.agents.promotion import OpenExperiment
from move37.agents.results import MemoryResult
from move37.agents.roles import LAB
from move37.lab.archive.message import Message
from move37.lab.claims import QUESTIONS, against, asking_seconds, claim_text, run_seconds, unasked, words_of
from move37.lab.confirming import ConfirmationPlan
from move37.lab.errors import BadCorpus, MeasurementBroken
from move37.lab.measuring import MeasuringContext
from move37.lab.records import Claim, Comparison, Experiment, Metric
from move37.lab.standings import Standings
from move37.lab.tasks.task import Progress, QuestionedTask

STAGE = "claim"  # of the conversation


def wanted(campaign: CampaignContext) -> bool:
    """Whether this campaign asks claims by itself: as its brief says, else as its preset does.

    A program's task has no questions to ask.
    """
    said = campaign.record.brief.confirm
    return isinstance(campaign.task, QuestionedTask) and (campaign.schedule.claims if said is None else said)


async def confirm_standing(campaign: CampaignContext, reopen: OpenExperiment, limit: Callable[[], str]) -> None:
    """Ask the claim's questions of every candidate that beat its rivals on fresh seeds, the clearest first."""
    if not wanted(campaign):
        return
    assert isinstance(campaign.task, QuestionedTask)
    tell_budget(campaign, "claims")
    for experiment in unasked(campaign.archive.experiments(campaign.record.id)):
        reason = limit() or _too_dear(campaign, experiment)
        if reason or await _vetoed(campaign, experiment):
            continue  # told at the end of the session, by `tell_open`
        await _ask(campaign, campaign.task, experiment, limit)
    for experiment in campaign.archive.experiments(campaign.record.id):
        if experiment.claim is not None and experiment.analysis is not None:
            ctx, step = reopen(experiment)
            await step("memory:claim", MemoryResult, remembering.keep, ctx)


def tell_open(campaign: CampaignContext, status: str) -> None:
    """At the end, unless it was only stopped: a sentence for each candidate whose claim waits, and how to go on."""
    if status != "finished" or not wanted(campaign):
        return
    for experiment in unasked(campaign.archive.experiments(campaign.record.id)):
        begun = campaign.archive.stage(experiment.id, BEGUN) is not None
        which = "its confirmation was begun and is not finished" if begun else "its confirmation was not begun"
        why = _too_dear(campaign, experiment)
        how = "goes on, and trains nothing twice" if begun else "asks for the rest"
        text = (
            f"{experiment.id} beat its rivals on fresh seeds; {which}{f': {why}' if why else ''}. "
            f"`move37 confirm {experiment.id}` {how}."
        )
        _say(campaign, experiment.id, text)
        campaign.on_event(Notice(text=text))


async def _ask(
    campaign: CampaignContext, task: QuestionedTask, experiment: Experiment, limit: Callable[[], str]
) -> None:
    ident = experiment.id
    campaign.archive.begin_conversation(ident, STAGE)
    campaign.on_event(StageStarted(experiment=ident, stage=STAGE))
    ground = ClaimGround(
        archive=campaign.archive,
        task=task,
        context=_measuring(campaign, task, ident),
        cache=campaign.archive.path.parent / "cache",
        watch=_watch(campaign, ident),
    )

    async def go_on(question: str) -> bool:
        await campaign.inbox.while_paused()
        left = campaign.clock.left
        return not limit() and (left is None or left >= _wall_seconds(campaign, experiment, (question,)))

    claim = None
    try:
        task.check_sealed()
        claim = await discovery_claim.ask(ground, experiment, ConfirmationRequest(seeds=_seeds(campaign)), go_on)
    except (NotConfirmable, BadCorpus) as error:
        _say(campaign, ident, f"No claim is asked of {ident}: {error}.")
    except MeasurementBroken as error:
        _say(campaign, ident, f"The claim of {ident} stays open: {error}.")
    if claim is not None:
        _say(campaign, ident, _ending(claim, task.metric))
    campaign.on_event(StageFinished(experiment=ident, stage=STAGE))
    campaign.on_event(ExperimentUpdated(experiment=campaign.archive.experiment(ident)))


def _ending(claim: Claim, metric: Metric) -> str:
    return f"{claim_text(claim, metric)} It took {claim.core_seconds:.0f} core-seconds."


async def _vetoed(campaign: CampaignContext, experiment: Experiment) -> str:
    """The user's reason against it, where the mode of approval asks: it is dear, and sealed text is opened."""
    cost = sum(asking_seconds(q, seeds=_seeds(campaign), run_seconds=_pace(campaign, experiment)) for q in QUESTIONS)
    text = f"{experiment.id} is to be confirmed: at most {cost:.0f} core-seconds, and sealed text is opened"
    veto = await asked_once(campaign, experiment.id, "held_out", text, stage="approval:held_out", doubt="held_out")
    if veto:
        campaign.on_event(Notice(text=f"{experiment.id} is not confirmed: {veto}"))
    return veto


def _too_dear(campaign: CampaignContext, experiment: Experiment) -> str:
    """Why the time left is too short for all questions; empty where it is enough."""
    needed, left = _wall_seconds(campaign, experiment, QUESTIONS), campaign.clock.left
    if left is None or left >= needed:
        return ""
    return f"its questions need about {needed:.0f} s and {left:.0f} s are left"


def _wall_seconds(campaign: CampaignContext, experiment: Experiment, questions: tuple[str, ...]) -> float:
    seeds, pace = _seeds(campaign), _pace(campaign, experiment)
    return sum(asking_seconds(q, seeds=seeds, run_seconds=pace) for q in questions) / max(1, campaign.workers)


def _seeds(campaign: CampaignContext) -> int:
    return campaign.schedule.confirm_seeds


def _pace(campaign: CampaignContext, experiment: Experiment) -> float:
    return run_seconds(experiment, campaign.task.metric)


def _measuring(campaign: CampaignContext, task: QuestionedTask, ident: str) -> MeasuringContext:
    """The campaign's own sandbox and places; runs are kept where `move37 confirm` looks for them."""
    cache = campaign.archive.path.parent / "cache"

    def progress(now: Progress) -> None:
        campaign.on_event(TrainingUpdated(progress=replace(now, experiment=ident), fresh=True))

    return MeasuringContext(
        task=task,
        sandbox=campaign.sandbox,
        standings=Standings.of(cache, corpus=task.digest, sandbox=campaign.sandbox.name),
        workdir=cache / "checkpoints",
        places=campaign.job_slots,
        on_progress=progress,
    )


def _watch(campaign: CampaignContext, ident: str) -> ClaimWatch:
    def begins(plan: ConfirmationPlan, count: int) -> None:
        _say(
            campaign, ident,
            f"Confirmation {plan.confirmation} of this home, of {plan.part}: {len(plan.seeds)} fresh seeds, at most "
            f"{count} runs.",
        )  # fmt: skip

    def answers(c: Comparison, metric: Metric) -> None:
        sign = "Holds" if c.holds else "Fails"
        _say(campaign, ident, f"{sign}: it {words_of(c)} ({against(c, metric)}).")

    return ClaimWatch(
        begins=begins, run=lambda name, seed, kept: None, answers=answers,
        notice=lambda text: _say(campaign, ident, f"{text[:1].upper()}{text[1:]}."),
    )  # fmt: skip


def _say(campaign: CampaignContext, ident: str, text: str) -> None:
    campaign.archive.say(campaign.record.id, Message(source=LAB, to="all", text=text, experiment=ident, stage=STAGE))
    campaign.on_event(Spoke(experiment=ident, source=LAB, to="all", text=text))
