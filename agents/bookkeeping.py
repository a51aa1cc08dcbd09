"""What a campaign records about itself: what is spent and left; at its end no experiment is left running."""

from __future__ import annotations

from move37.agents.budget import Expenses
from move37.agents.context import CampaignContext
from move37.agents.events import BudgetUpdated
from move37.agents.experiment_context import baselines_of
from move37.lab.errors import BadTask
from move37.lab.records import ExperimentStatus, Role


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


def close_unfinished(campaign: CampaignContext, reason: str) -> None:
    """Mark every experiment that is still running as failed, for `reason`."""
    for e in campaign.archive.experiments(campaign.record.id):
        if e.status is ExperimentStatus.RUNNING:
            campaign.archive.finish_stage(
                e.id, "ended", {}, status=ExperimentStatus.FAILED, reason=f"not finished: {reason}"
            )


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
