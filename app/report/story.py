"""Everything that a report tells, gathered once from the archive: after this no file is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from move37.app.reading import shortened
from move37.app.report.rows import metric_of
from move37.lab.archive.store import Archive, Campaign, Line
from move37.lab.records import Experiment, Metric, Role
from move37.lab.verdicts import Row, leaderboard


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One campaign, ready to be told."""

    campaign: Campaign
    metric: Metric
    experiments: tuple[Experiment, ...]  # baselines first, then candidates in order
    lines: Mapping[str, tuple[Line, ...]] = field(default_factory=dict)  # experiment -> what was said
    ancestors: Mapping[str, Experiment] = field(default_factory=dict)  # parents from earlier campaigns
    shortened: tuple[str, ...] = ()
    tokens: int = 0
    cost: float = 0.0  # US dollars

    @property
    def candidates(self) -> tuple[Experiment, ...]:
        """In the order in which they were tried."""
        return tuple(e for e in self.experiments if e.role is Role.CANDIDATE)

    @property
    def baselines(self) -> tuple[Experiment, ...]:
        """The lab's own."""
        return tuple(e for e in self.experiments if e.role is Role.BASELINE)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The leaderboard, best first among equal steps."""
        return leaderboard(self.experiments, metric=self.metric)

    def find(self, ident: str) -> Experiment | None:
        """An experiment of this campaign, or a parent from an earlier one."""
        return next((e for e in self.experiments if e.id == ident), None) or self.ancestors.get(ident)


def story_of(archive: Archive, campaign: Campaign) -> Story:
    """Read what a report needs."""
    experiments = archive.experiments(campaign.id)
    mine = {e.id for e in experiments}
    wanted = {p for e in experiments for p in e.parents} - mine
    tokens, cost = archive.spent(campaign.id)
    return Story(
        campaign=campaign,
        metric=metric_of(campaign.brief.task),
        experiments=experiments,
        lines={e.id: archive.lines(e.id) for e in experiments},
        ancestors={e.id: e for e in archive.experiments() if e.id in wanted} if wanted else {},
        shortened=shortened(campaign),
        tokens=tokens,
        cost=cost,
    )
