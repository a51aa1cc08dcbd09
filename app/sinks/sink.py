"""What goes to a sink: one run an experiment, with its settings, its numbers by step and its words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from move37.app.views.campaign import CampaignView
from move37.app.views.curves import lines
from move37.lab.records import Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkPoint:
    """One number."""

    metric: str
    step: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkRun:
    """One experiment."""

    id: str
    name: str
    campaign: int
    identity: str  # of the campaign, among those of all homes that send to one place
    settings: Mapping[str, str]
    points: tuple[SinkPoint, ...]  # in the order of their steps
    notes: str  # hypothesis and verdict, Markdown
    source: str  # of the candidate, or ""

    @property
    def group(self) -> str:
        """The campaign's name at a place that several homes send to."""
        return f"move37 campaign {self.campaign} {self.identity}"


class Sink(Protocol):
    """Somewhere that runs are kept."""

    def send(self, run: SinkRun) -> None:
        """Keep one run; one that is there already is replaced or kept beside it, as the place does it."""
        ...

    def close(self) -> None:
        """Everything is written."""
        ...


def runs_of(view: CampaignView) -> list[SinkRun]:
    """The campaign's experiments as runs. Pure."""
    return [_run(view, e) for e in view.experiments]


def _run(view: CampaignView, e: Experiment) -> SinkRun:
    points = [
        SinkPoint(metric=f"{m.metric}/{'fresh' if m.fresh else m.text}/seed {m.seed}", step=m.steps, value=m.value)
        for m in e.measurements
        if math.isfinite(m.value)
    ]
    for line in lines(view.curves, {e.id}):
        name = f"training_loss/seed {line.seed}" + (f", rate {line.learning_rate:g}" if line.learning_rate else "")
        points += [
            SinkPoint(metric=name, step=step, value=loss)
            for step, loss in zip(line.steps, line.losses, strict=True)
            if math.isfinite(loss)
        ]
    h, verdict = e.hypothesis, e.verdict
    notes = [f"**changes** {h.change}", f"**because** {h.motivation}"] if h else []
    notes += [f"**verdict** {verdict.text}"] if verdict else []
    notes += [f"**ended** {e.reason}"] if e.reason else []
    settings = {
        "role": e.role.value,
        "status": e.status.value,
        "family": e.family,
        "task": view.campaign.brief.task,
        "model": view.campaign.brief.model,
        "preset": view.campaign.brief.preset,
        "parents": ", ".join(e.parents),
    }
    return SinkRun(
        id=e.id,
        name=e.name or e.id,
        campaign=e.campaign,
        identity=view.campaign.identity,
        settings=settings,
        points=tuple(sorted(points, key=lambda p: (p.step, p.metric))),
        notes="\n\n".join(notes),
        source=e.candidate.source if e.candidate else "",
    )
