"""Everything that is told about one campaign, gathered once from the archive: after this no file is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from move37.lab.archive import principles
from move37.lab.archive.codec import decode
from move37.lab.archive.live import Curve, LiveReader
from move37.lab.archive.message import Message
from move37.lab.archive.store import Archive, Campaign, ModelCall
from move37.lab.records import Experiment, Metric, Principle, Role
from move37.lab.tasks.registry import kind_of


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignView:
    """One campaign, ready to be told."""

    campaign: Campaign
    metric: Metric
    experiments: tuple[Experiment, ...]  # baselines first, then candidates in order
    lines: Mapping[str, tuple[Message, ...]] = field(default_factory=dict)  # experiment -> what was said
    ancestors: Mapping[str, Experiment] = field(default_factory=dict)  # parents from earlier campaigns
    curves: tuple[Curve, ...] = ()
    principles: tuple[Principle, ...] = ()  # that the home holds now
    shortened: tuple[str, ...] = ()
    tokens: int = 0
    cost: float = 0.0  # US dollars
    calls: tuple[ModelCall, ...] = ()  # of language models, oldest first

    @property
    def candidates(self) -> tuple[Experiment, ...]:
        """In the order in which they were tried."""
        return tuple(e for e in self.experiments if e.role is Role.CANDIDATE)

    @property
    def baselines(self) -> tuple[Experiment, ...]:
        """The lab's own."""
        return tuple(e for e in self.experiments if e.role is Role.BASELINE)

    def find(self, ident: str) -> Experiment | None:
        """An experiment of this campaign, or a parent from an earlier one."""
        return next((e for e in self.experiments if e.id == ident), None) or self.ancestors.get(ident)


def view_of(archive: Archive, campaign: Campaign) -> CampaignView:
    """Read what a page needs."""
    experiments = archive.experiments(campaign.id)
    wanted = {p for e in experiments for p in e.parents} - {e.id for e in experiments}
    lines: dict[str, list[Message]] = {}
    for line in archive.lines(campaign=campaign.id):
        lines.setdefault(line.experiment or "", []).append(line)
    tokens, cost = archive.spent(campaign.id)
    with LiveReader(archive.path.parent) as live:
        curves = live.curves(campaign.id)
    return CampaignView(
        campaign=campaign,
        metric=metric_of(campaign),
        experiments=experiments,
        lines={ident: tuple(said) for ident, said in lines.items()},
        ancestors={e.id: e for e in archive.experiments() if e.id in wanted} if wanted else {},
        curves=curves,
        principles=principles.standing(archive),
        shortened=shortened(campaign),
        tokens=tokens,
        cost=cost,
        calls=archive.calls(campaign.id),
    )


def metric_of(campaign: Campaign) -> Metric:
    """The primary metric, as the task said it when the campaign began.

    Campaigns of the first version did not write it down.
    """
    stored = campaign.facts.get("metric")
    if isinstance(stored, dict):
        return decode(Metric, stored)
    return kind_of(campaign.brief.task).metric


def caveat_of(campaign: Campaign) -> str:
    """What the task itself says about its numbers; empty for campaigns that did not write it down."""
    return str(campaign.facts.get("caveat") or "")


def shortened(campaign: Campaign) -> tuple[str, ...]:
    """What the preset left out, one sentence each: printed under every table."""
    schedule = campaign.facts.get("schedule")
    found = schedule.get("shortened") if isinstance(schedule, dict) else None
    found = found or campaign.facts.get("shortened") or ()
    return tuple(str(sentence) for sentence in ([found] if isinstance(found, str) else found))
