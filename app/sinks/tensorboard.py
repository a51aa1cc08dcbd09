"""TensorBoard: a folder a campaign, one an experiment in it, scalars by step. Words are not kept: see the report."""

from __future__ import annotations

from pathlib import Path

from tensorboard.summary import Writer

from move37.app.exits import BadInput
from move37.app.sinks.sink import SinkRun

EVENTS = "tfevents"  # in the name of each file that its writers make


class TensorBoard:
    """Event files under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, run: SinkRun) -> None:
        """The run's folder is written anew, so that exporting twice shows everything once.

        Raises `BadInput` where the folder holds anything but events: it is somebody else's.
        """
        folder = self._folder / run.group.replace(" ", "-") / run.id
        _cleared(folder)
        folder.mkdir(parents=True, exist_ok=True)
        writer = Writer(str(folder))
        for point in run.points:
            writer.add_scalar(point.metric, point.value, point.step)
        writer.close()

    def close(self) -> None:
        """Each run is written when it is sent."""


def _cleared(folder: Path) -> None:
    """Remove the events of an earlier export."""
    old = list(folder.iterdir()) if folder.is_dir() else []
    if other := next((p for p in old if p.is_symlink() or not p.is_file() or EVENTS not in p.name), None):
        raise BadInput(f"{folder} holds {other.name}, which no export wrote: name another place")
    for path in old:
        path.unlink()


def open_sink(name: str, place: str) -> TensorBoard:
    """`place` is a folder."""
    return TensorBoard(Path(place).expanduser())
