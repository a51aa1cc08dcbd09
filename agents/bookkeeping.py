"""What a campaign writes about itself: what is spent and left, and that nothing of a finished one stays running."""

from __future__ import annotations

from move37.agents.context import CampaignContext
from move37.agents.events import BudgetUpdated
from move37.lab.records import ExperimentStatus, Role


def tell_budget(campaign: CampaignContext, phase: str) -> None:
    """Show what is spent and what is left."""
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


def close_unfinished(campaign: CampaignContext, reason: str) -> None:
    """No experiment of a finished campaign stays running."""
    for e in campaign.archive.experiments(campaign.record.id):
        if e.status is ExperimentStatus.RUNNING:
            campaign.archive.finish_stage(
                e.id, "ended", {}, status=ExperimentStatus.FAILED, reason=f"not finished: {reason}"
            )
