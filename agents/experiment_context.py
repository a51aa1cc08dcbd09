"""The context of one experiment, and what several of its stages look up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from move37.agents.context import CampaignContext
from move37.agents.conversation import Conversation
from move37.lab.archive.store import Archive, Campaign
from move37.lab.records import Experiment, Role
from move37.lab.verdicts import confirmations

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentContext:
    """One experiment: its campaign, its conversation, its number and id."""

    campaign: CampaignContext
    id: str
    number: int
    talk: Conversation
    proposals: tuple[str, ...] = ()  # hypotheses that the user handed over


def last(replies: Sequence[object], kind: type[T]) -> T:
    """The newest reply of one kind."""
    return next(r for r in reversed(replies) if isinstance(r, kind))


def baselines_of(campaign: CampaignContext) -> tuple[Experiment, ...]:
    """The campaign's own baselines, with everything measured so far."""
    return tuple(e for e in campaign.archive.experiments(campaign.record.id) if e.role is Role.BASELINE)


def comparable(campaign: CampaignContext) -> tuple[Experiment, ...]:
    """The home's experiments on this campaign's task and data: what it may build on and compare with."""
    return comparable_with(campaign.archive, campaign.record)


def comparable_with(archive: Archive, campaign: Campaign) -> tuple[Experiment, ...]:
    """As `comparable`, of a campaign that does not run."""
    same = {other.id for other in archive.campaigns() if other.comparable_by == campaign.comparable_by}
    return tuple(e for e in archive.experiments() if e.campaign in same)


def tried(campaign: CampaignContext) -> int:
    """How many candidates this home has begun on this task: told beside a verdict."""
    return sum(e.role is Role.CANDIDATE for e in comparable(campaign))


def confirmed(campaign: CampaignContext) -> int:
    """How many confirmations this home has begun, on whatever task: what a claim has to be corrected for."""
    return confirmations(campaign.archive.experiments())
