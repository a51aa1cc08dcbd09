"""TensorBoard: a folder an experiment, scalars by step. Its words are not kept: see the report."""

from __future__ import annotations

import shutil
from pathlib import Path

from tensorboard.summary import Writer

from move37.app.sinks.sink import SinkRun


class TensorBoard:
    """Event files under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, run: SinkRun) -> None:
        """The run's folder is written anew, so that exporting twice shows everything once."""
        folder = self._folder / run.id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        writer = Writer(str(folder))
        for point in run.points:
            writer.add_scalar(point.metric, point.value, point.step)
        writer.close()

    def close(self) -> None:
        """Each run is written when it is sent."""


def open_sink(name: str, place: str) -> TensorBoard:
    """`place` is a folder."""
    return TensorBoard(Path(place).expanduser())
