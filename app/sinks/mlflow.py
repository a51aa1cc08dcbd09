"""MLflow: an MLflow experiment a campaign, a run an experiment with parameters, metrics, notes and the source."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from move37.app.exits import BadInput, EnvironmentFault
from move37.app.sinks.sink import SinkRun
from move37.app.text import one_line

BATCH = 500  # metrics of one request
KEY = "move37.id"
CAMPAIGN = "move37.campaign"


class MLflow:
    """A tracking server, or a folder."""

    def __init__(self, address: str) -> None:
        """Raises `EnvironmentFault` when MLflow opens no such place."""
        with _translated(f"MLflow cannot use {address}"):
            self._client = MlflowClient(tracking_uri=address)

    def send(self, run: SinkRun) -> None:
        """Replaces the run that an earlier export made of the same home's experiment. Raises `EnvironmentFault`."""
        with _translated(f"MLflow does not take {run.id}"):
            self._send(run)

    def _send(self, run: SinkRun) -> None:
        found = self._client.get_experiment_by_name(run.group)
        experiment = found.experiment_id if found else self._client.create_experiment(run.group)
        mine = f"tags.`{KEY}` = '{run.id}' and tags.`{CAMPAIGN}` = '{run.identity}'"
        for old in self._client.search_runs([experiment], mine):
            self._client.delete_run(old.info.run_id)
        made = self._client.create_run(experiment, run_name=run.name)
        ident, now = made.info.run_id, int(time.time() * 1000)
        params = [Param(key, value[:500]) for key, value in run.settings.items() if value]
        tags = [RunTag(KEY, run.id), RunTag(CAMPAIGN, run.identity), RunTag("mlflow.note.content", run.notes)]
        self._client.log_batch(ident, params=params, tags=tags)
        metrics = [Metric(_plain(p.metric), p.value, now, p.step) for p in run.points]
        for start in range(0, len(metrics), BATCH):
            self._client.log_batch(ident, metrics=metrics[start : start + BATCH])
        if run.source:
            self._client.log_text(ident, run.source, "candidate.py")
        self._client.set_terminated(ident)

    def close(self) -> None:
        """Each run is written when it is sent."""


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """MLflow's own sentence as an `EnvironmentFault`; a fault of ours is left to whoever catches it."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("mlflow", "requests", "urllib3", "sqlalchemy")):
            raise
        raise EnvironmentFault(f"{what} ({one_line(str(error), 200)})") from error


def _plain(metric: str) -> str:
    return "".join(c if c.isalnum() or c in "_-./ " else "_" for c in metric)


def open_sink(name: str, place: str) -> Any:
    """`place` is a folder, or the address of a tracking server. Raises `BadInput`."""
    if "://" in place:
        if not place.startswith(("http://", "https://", "sqlite://", "file://")):
            raise BadInput(f"{place} is no tracking server's address: write http://HOST:PORT or a folder")
        # Its own patience with a server that is not there is seven tries, of minutes, without a word.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        return MLflow(place)
    # MLflow 3 refuses a folder unless this is set; a database needs its large package, a folder the small one.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    return MLflow(Path(place).expanduser().absolute().as_uri())
