"""Weights & Biases, and trackio, which speaks the same: a run an experiment in one project."""

from __future__ import annotations

from importlib import import_module
from itertools import groupby
from typing import Any

from move37.app.exits import EnvironmentFault
from move37.app.sinks.sink import SinkRun
from move37.app.text import one_line


class Wandb:
    """A project. `module` is wandb or trackio."""

    def __init__(self, module: Any, project: str) -> None:
        self._module = module
        self._project = project

    def send(self, run: SinkRun) -> None:
        """One run; exporting twice makes two. Raises `EnvironmentFault` with what the place says against it."""
        try:
            self._send(run)
        except Exception as error:
            if not type(error).__module__.startswith((self._module.__name__, "huggingface_hub", "requests", "httpx")):
                raise
            said = one_line(str(error), 200)
            raise EnvironmentFault(f"{self._module.__name__} does not take {run.id} ({said})") from error

    def _send(self, run: SinkRun) -> None:
        config = {"id": run.id, "campaign": run.campaign, "identity": run.identity, "notes": run.notes, **run.settings}
        self._module.init(project=self._project, name=f"{run.id} {run.name} {run.identity}", config=config)
        for step, points in groupby(run.points, key=lambda p: p.step):
            self._module.log({p.metric: p.value for p in points}, step=step)
        self._module.finish()

    def close(self) -> None:
        """Each run is finished when it is sent."""


def open_sink(name: str, place: str) -> Wandb:
    """`place` is a project."""
    return Wandb(import_module(name), place)
