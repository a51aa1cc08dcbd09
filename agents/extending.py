"""Limits that the user changes while the campaign runs: stored first, so that a resumed campaign has them too."""

from __future__ import annotations

from move37.agents.bookkeeping import spent_of
from move37.agents.budget import BudgetChange, budget_of, changed, refused
from move37.agents.context import CampaignContext
from move37.agents.events import Notice
from move37.lab.records import Role


def extend(campaign: CampaignContext) -> bool:
    """Apply every change of limits that waits in the inbox; True: one did. Raises the archive's errors."""
    moved = False
    while (change := campaign.inbox.take_budget_change()) is not None:
        begun = sum(e.role is Role.CANDIDATE for e in campaign.archive.experiments(campaign.record.id))
        if why := refused(change, begun, spent_of(campaign)):
            campaign.on_event(Notice(text=f"The budget stays as it is: {why}."))
            continue
        _apply(campaign, change)
        moved = True
    return moved


def _apply(campaign: CampaignContext, change: BudgetChange) -> None:
    brief = changed(campaign.record.brief, change)
    campaign.record = campaign.archive.update_campaign(campaign.record.id, brief=brief)
    campaign.budget = budget_of(brief)
    if change.seconds is not None:
        campaign.clock.extend(change.seconds)
