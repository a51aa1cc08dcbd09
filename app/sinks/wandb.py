"""Weights & Biases, and trackio, which speaks the same: a run an experiment in one project."""

from __future__ import annotations

from importlib import import_module
from itertools import groupby
from typing import Any

from move37.app.sinks.sink import SinkRun


class Wandb:
    """A project. `module` is wandb or trackio."""

    def __init__(self, module: Any, project: str) -> None:
        self._module = module
        self._project = project

    def send(self, run: SinkRun) -> None:
        """One run; exporting twice makes two."""
        config = {"id": run.id, "campaign": run.campaign, "notes": run.notes, **run.settings}
        self._module.init(project=self._project, name=f"{run.id} {run.name}", config=config)
        for step, points in groupby(run.points, key=lambda p: p.step):
            self._module.log({p.metric: p.value for p in points}, step=step)
        self._module.finish()

    def close(self) -> None:
        """Each run is finished when it is sent."""


def open_sink(name: str, place: str) -> Wandb:
    """`place` is a project."""
    return Wandb(import_module(name), place)
