"""A home's archive -> `ArchiveInsight`: which campaigns are read together."""

from __future__ import annotations

from collections.abc import Sequence

from move37.agents.insight import ArchiveInsight, insight_of
from move37.app.exits import BadInput
from move37.app.reading import pick_campaign
from move37.app.views.campaign import metric_of
from move37.lab.archive.store import Archive
from move37.lab.records import Metric


def of_home(archive: Archive, wanted: Sequence[int], task: str = "") -> tuple[ArchiveInsight, Metric]:
    """The insight over the campaigns wanted (none: all on `task`, or on the last one's), and its metric.

    Raises `BadInput`.
    """
    chosen = [pick_campaign(archive, number) for number in wanted] or list(archive.campaigns())
    if not chosen:
        raise BadInput("no campaign has run here yet: start one with `move37 run`")
    task = task or chosen[-1].brief.task
    if wanted and len({c.brief.task for c in chosen}) > 1:
        raise BadInput("these campaigns are on different tasks, whose numbers do not compare: name those of one task")
    chosen = [c for c in chosen if c.brief.task == task]
    if not chosen:
        raise BadInput(f"no campaign on {task} has run here yet: start one with `move37 run`")
    metric, authors = metric_of(chosen[-1]), {c.id: c.brief.model for c in chosen}
    mine = [e for e in archive.experiments() if e.campaign in authors]
    return insight_of(mine, metric, authors), metric
