"""What `move37 tidy` may take away: weights on the way of trainings that nobody goes on with. Never a record.

The archive, memory, reports, recordings and logs are not looked at. Of a campaign that has not finished only what
failed or was rejected goes; of a finished one also what was measured and not promoted, and the baselines' checkpoints.
The weights of what was promoted or confirmed stay unless everything is asked for. Going on later then trains from step
0: time is lost, no number changes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from move37.lab.records import Experiment, ExperimentStatus

FOLDER = "checkpoints"
ENDED = (ExperimentStatus.FAILED, ExperimentStatus.REJECTED)
KEPT = (ExperimentStatus.PROMOTED, ExperimentStatus.CONFIRMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removable:
    """A folder or file that may go."""

    path: Path
    size: int  # bytes
    why: str


def may_go(experiment: Experiment, *, finished: bool, everything: bool) -> str:
    """Why this experiment's checkpoints are of no use any more; empty when they are. `finished`: its campaign. Pure."""
    if experiment.status in ENDED:
        return f"{experiment.status.value}"
    if not finished or experiment.status is ExperimentStatus.RUNNING:
        return ""
    if experiment.status in KEPT:
        return f"{experiment.status.value}; its weights" if everything else ""
    return f"{experiment.role.value} of a finished campaign"


def leftovers(
    home: Path, experiments: Iterable[Experiment], finished: Mapping[int, bool], *, everything: bool = False
) -> list[Removable]:
    """What may go from `home`, in the order of the experiments; links are not followed, unknown folders not touched."""
    root = home / FOLDER
    found = []
    for e in experiments:
        why, folder = may_go(e, finished=finished.get(e.campaign, False), everything=everything), root / e.id
        if why and folder.is_dir() and not folder.is_symlink():
            found.append(Removable(path=folder, size=_size(folder), why=why))
    gone = [item.path for item in found]
    for broken in sorted(root.rglob("*.new")):
        if broken.is_file() and not broken.is_symlink() and not any(p in broken.parents for p in gone):
            found.append(Removable(path=broken, size=broken.lstat().st_size, why="half written"))
    return [item for item in found if item.size]


def remove(items: Iterable[Removable]) -> list[str]:
    """Delete them; what could not be deleted, each as a sentence."""
    problems = []
    for item in items:
        try:
            shutil.rmtree(item.path) if item.path.is_dir() else item.path.unlink(missing_ok=True)
        except OSError as error:
            problems.append(f"{item.path}: {error.strerror or error}")
    return problems


def _size(folder: Path) -> int:
    return sum(os.lstat(Path(place) / name).st_size for place, _, names in os.walk(folder) for name in names)
