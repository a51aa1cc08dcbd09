"""One experiment as a folder or a branch: code that runs, a README that claims no more than was shown, the evidence."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import pytest

from tests.app.conftest import Move37


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name, value in (("user.name", "t"), ("user.email", "t@example.org")):
        git(folder, "config", name, value)
    (folder / "kept.txt").write_text("kept")
    git(folder, "add", "kept.txt")
    git(folder, "commit", "-qm", "first")
    (folder / "unfinished.txt").write_text("mine")
    monkeypatch.chdir(folder)
    return folder


def test_a_folder_holds_code_readme_ancestor_and_evidence(move37: Move37, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    answer = move37("--home", str(finished), "finalize", "5", "--out", str(out))
    assert answer.status == 0 or "has no code" in answer.err
    answer = move37("--home", str(finished), "finalize", "1", "--out", str(tmp_path / "one"))
    assert answer.out.strip() == str(tmp_path / "one")
    folder = tmp_path / "one"
    compile((folder / "mixer.py").read_text(), "mixer.py", "exec")
    readme = (folder / "README.md").read_text()
    assert "Not a discovery" in readme and "Not distinguishable" in readme and "| bits per byte |" in readme
    assert json.loads((folder / "evidence" / "experiment.json").read_text())["id"] == "c1-001"
    assert len(list(csv.DictReader((folder / "evidence" / "measurements.csv").open()))) == 9
    assert (folder / "made_from" / "c1-gated_delta.py").exists()
    assert "+        return" in (folder / "made_from" / "change.diff").read_text()


def test_a_folder_that_holds_something_is_left_alone(move37: Move37, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    answer = move37("--home", str(finished), "finalize", "1", "--out", str(tmp_path / "out"))
    assert answer.status == 2 and [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_branch_is_made_without_touching_what_lies_around(move37: Move37, finished: Path, repository: Path) -> None:
    before = git(repository, "status", "--porcelain")
    answer = move37("--home", str(finished), "finalize", "1", "--branch", "ideas/floor")
    assert answer.status == 0, answer.err
    assert git(repository, "status", "--porcelain") == before and git(repository, "branch", "--show-current") == "main"
    names = git(repository, "ls-tree", "-r", "--name-only", "ideas/floor").splitlines()
    assert "kept.txt" in names and "gla_two_paths/mixer.py" in names and "gla_two_paths/README.md" in names
    assert git(repository, "rev-parse", "ideas/floor^") == git(repository, "rev-parse", "main")
    again = move37("--home", str(finished), "finalize", "1", "--branch", "ideas/floor")
    assert again.status == 2 and "there already" in again.err


@pytest.mark.parametrize("branch", ["..", "a b", "-x", "a..b", ""])
def test_a_name_that_is_none_makes_nothing(move37: Move37, finished: Path, repository: Path, branch: str) -> None:
    assert move37("--home", str(finished), "finalize", "1", f"--branch={branch}").status == 2
    assert git(repository, "branch", "--format=%(refname:short)") == "main"


def test_outside_a_repository_and_without_code_it_says_so(move37: Move37, finished: Path) -> None:
    answer = move37("--home", str(finished), "finalize", "1", "--branch", "x")
    assert answer.status == 2 and "no git repository" in answer.err
    answer = move37("--home", str(finished), "finalize", "4")
    assert answer.status == 2 and "has no code" in answer.err


def test_foreign_words_stay_words_in_the_readme(move37: Move37, hostile: Path, tmp_path: Path) -> None:
    answer = move37("--home", str(hostile), "finalize", "1", "--out", str(tmp_path / "out"))
    assert answer.status == 0
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "\\<script\\>" in readme and "<script>" not in readme and "\x1b" not in readme
