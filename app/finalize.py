"""A finished piece of work out of one experiment: code, what it was made from, README and the evidence, as files.

`files_of` is pure; `write_folder` and `write_branch` put the files somewhere. A branch is made without touching the
working tree or the index of the repository.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from move37.app import templating
from move37.app.exits import BadInput, EnvironmentFault
from move37.app.reading import as_csv
from move37.app.views.campaign import CampaignView, caveat_of
from move37.app.views.code import difference
from move37.app.views.curves import lines
from move37.app.views.experiment import detail_of
from move37.app.views.leaderboard import board_of
from move37.app.views.rows import board_rows, curve_rows, measurement_rows, show_row
from move37.app.views.words import CAVEAT
from move37.lab.records import Experiment, ExperimentStatus
from move37.lab.tasks.registry import kind_of


def files_of(view: CampaignView, experiment: Experiment) -> dict[str, str]:
    """Name -> text. Raises `BadInput` for an experiment without code."""
    if experiment.candidate is None:
        raise BadInput(f"{experiment.id} has no code: {experiment.reason or 'it has not been written yet'}")
    detail = detail_of(view, experiment)
    name = f"{kind_of(view.campaign.brief.task).candidate}.py"
    files = {
        name: experiment.candidate.source,
        "README.md": _readme(view, experiment, name),
        "evidence/experiment.json": _json(show_row(experiment, view.metric)),
        "evidence/measurements.csv": as_csv(measurement_rows([experiment])),
        "evidence/leaderboard.csv": as_csv(board_rows(board_of(view.experiments, view.metric))),
        "evidence/curves.csv": as_csv(curve_rows(lines(view.curves, {experiment.id}))),
    }
    ancestor = detail.ancestor
    if ancestor is not None and ancestor.candidate is not None:
        files[f"made_from/{ancestor.id}.py"] = ancestor.candidate.source
        changes = difference(ancestor.candidate.source, experiment.candidate.source, ancestor.id)
        files["made_from/change.diff"] = f"{changes}\n" if changes else ""
    return {path: text for path, text in files.items() if text}


def _readme(view: CampaignView, experiment: Experiment, name: str) -> str:
    found = (
        templating.markdown()
        .get_template("finalize.md")
        .render(
            detail=detail_of(view, experiment),
            file=name,
            confirmed=experiment.status is ExperimentStatus.CONFIRMED,
            caveat=caveat_of(view.campaign) or CAVEAT,
            campaign=view.campaign,
            shortened=view.shortened,
        )
    )
    return "\n".join(line.rstrip() for line in found.splitlines()) + "\n"


def write_folder(files: Mapping[str, str], folder: Path) -> None:
    """Raises `BadInput` when the folder holds something, `EnvironmentFault` when it cannot be written."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is there already: name another --out, or move it away")
    try:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{folder} cannot be written ({error.strerror}): name another --out") from error


def write_branch(files: Mapping[str, str], branch: str, folder: str, *, repository: Path, message: str) -> str:
    """One commit on a new branch that starts at HEAD (or at nothing, in an empty repository); its hash.

    Raises `BadInput` when there is no repository, the name is none, or the branch is there already.
    """
    with tempfile.TemporaryDirectory() as temporary:
        git = _Git(repository, Path(temporary) / "index")
        if not git.works("rev-parse", "--git-dir"):
            raise BadInput(f"{repository} is no git repository: use --out, or go into one")
        if not git.works("check-ref-format", "--branch", branch):
            raise BadInput(f"{branch!r} is no name for a branch")
        if git.works("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"):
            raise BadInput(f"the branch {branch} is there already: name another --branch")
        parents = ["-p", git.says("rev-parse", "HEAD")] if git.works("rev-parse", "--verify", "--quiet", "HEAD") else []
        if parents:
            git.says("read-tree", "HEAD")
        for path, text in files.items():
            blob = git.says("hash-object", "-w", "--stdin", text=text)
            git.says("update-index", "--add", "--cacheinfo", f"100644,{blob},{folder}/{path}")
        commit = git.says("commit-tree", git.says("write-tree"), *parents, text=message)
        git.says("update-ref", f"refs/heads/{branch}", commit, "")
        return commit


class _Git:
    """Plumbing with an index of its own."""

    def __init__(self, repository: Path, index: Path) -> None:
        self._command = ("git", "-C", str(repository))
        self._environment = os.environ | {"GIT_INDEX_FILE": str(index)}

    def works(self, *arguments: str) -> bool:
        return self._run(arguments, "").returncode == 0

    def says(self, *arguments: str, text: str = "") -> str:
        answer = self._run(arguments, text)
        if answer.returncode:
            lines = answer.stderr.strip().splitlines() or [f"git {arguments[0]} ended with {answer.returncode}"]
            raise EnvironmentFault(f"git {arguments[0]}: {lines[-1]}")
        return answer.stdout.strip()

    def _run(self, arguments: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [*self._command, *arguments],
                input=text,
                env=self._environment,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            raise EnvironmentFault("git is not installed: use --out") from error


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
