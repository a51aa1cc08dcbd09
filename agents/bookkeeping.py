"""What a campaign records about itself: what is spent and left, what the user answered, what a limit ended.

At its end no experiment is left running; the next session reopens what was not finished.
"""

from __future__ import annotations

from move37.agents.approval import Doubt, Kind
from move37.agents.budget import Expenses
from move37.agents.context import CampaignContext
from move37.agents.events import BudgetUpdated, Notice
from move37.agents.experiment_context import baselines_of
from move37.lab.archive import sessions
from move37.lab.errors import BadTask
from move37.lab.records import Experiment, ExperimentStatus, Role, Stage, StageRecord

ENDED = "ended"  # stage: a limit came before the experiment was through


def tell_budget(campaign: CampaignContext, phase: str) -> None:
    """Emit `BudgetUpdated`: what is spent and what is left."""
    candidates = [e for e in campaign.archive.experiments(campaign.record.id) if e.role is Role.CANDIDATE]
    campaign.on_event(
        BudgetUpdated(
            done=sum(e.status is not ExperimentStatus.RUNNING for e in candidates),
            budget=campaign.record.brief.budget,
            seconds=campaign.clock.seconds,
            seconds_left=campaign.clock.left,
            tokens=campaign.usage.tokens,
            cost=campaign.usage.cost,
            phase=phase,
        )
    )


def spent_of(campaign: CampaignContext) -> Expenses:
    """What all sessions together have used."""
    return Expenses(seconds=campaign.clock.seconds, tokens=campaign.usage.tokens, cost=campaign.usage.cost)


def store_seconds(campaign: CampaignContext) -> None:
    """Store the time that is used: what is killed has no more of it afterwards."""
    sessions.keep_seconds(campaign.archive, campaign.record.id, campaign.clock.seconds)


async def asked_once(
    campaign: CampaignContext, ident: str, kind: Kind, text: str, *, stage: str, doubt: Doubt | None
) -> str:
    """The reason of the user's veto, or "". Their word is stored as `stage` and holds in every later session.

    Where nobody answered nothing is stored: who comes back is asked again.
    """
    archive = campaign.archive
    if (said := archive.stage(ident, stage)) is not None:
        return str(said["veto"])
    return await campaign.approvals.asked(
        ident, kind, text, doubt=doubt, keep=lambda veto: archive.finish_stage(ident, stage, {"veto": veto})
    )


def close(campaign: CampaignContext, ident: str, reason: str) -> None:
    """Mark an experiment that a limit ended as failed, until a session with more of it."""
    campaign.archive.finish_stage(ident, ENDED, {}, status=ExperimentStatus.FAILED, reason=f"not finished: {reason}")


def close_unfinished(campaign: CampaignContext, reason: str) -> None:
    """Close every experiment that is still running, for `reason`, and say so."""
    for e in campaign.archive.experiments(campaign.record.id):
        if e.status is ExperimentStatus.RUNNING:
            close(campaign, e.id, reason)
    text = f"{reason[:1].upper()}{reason[1:]}: what ran is not finished; `move37 resume` goes on when it gets more."
    campaign.on_event(Notice(text=text))


def reopen_unfinished(campaign: CampaignContext) -> set[int]:
    """Let go on what a limit ended before there was more of it; what failed by itself stays failed.

    The numbers of the candidates among them.
    """
    found = set()
    for e in campaign.archive.experiments(campaign.record.id):
        closed = e.status is ExperimentStatus.FAILED and any(r.stage == ENDED for r in e.stages)
        if closed and not any(_is_final(r) for r in e.stages):
            sessions.reopen(campaign.archive, e.id, _reached(e))
            found |= {e.number} if e.role is Role.CANDIDATE else set()
    return found


def _is_final(record: StageRecord) -> bool:
    """Whether this stage itself ended the experiment (the results' `changes`)."""
    said = record.payload
    unwritten = record.stage == Stage.CANDIDATE and said.get("candidate") is None
    return unwritten or said.get("accepted") is False or said.get("passed") is False or bool(said.get("failure"))


def _reached(experiment: Experiment) -> ExperimentStatus:
    """By its stages: an earlier version trained on what it left as failed."""
    if any(r.payload.get("climbed") for r in experiment.stages):
        return ExperimentStatus.PROMOTED
    return ExperimentStatus.MEASURED if experiment.measurements else ExperimentStatus.RUNNING


def begun(campaign: CampaignContext, number: int) -> bool:
    """Whether the candidate of that number was begun, in this session or an earlier one."""
    mine = campaign.archive.experiments(campaign.record.id)
    return any(e.role is Role.CANDIDATE and e.number == number for e in mine)


def need_a_baseline(campaign: CampaignContext) -> None:
    """Raises `BadTask` where no baseline could be measured: without one no candidate can be judged."""
    own = baselines_of(campaign)
    if own and all(e.status is ExperimentStatus.FAILED for e in own):
        raise BadTask(
            f"no baseline of {campaign.task.name} could be measured ({own[0].reason}): correct the task and run again"
        )
