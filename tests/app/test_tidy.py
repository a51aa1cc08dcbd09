"""`move37 tidy` takes away weights that nobody needs and nothing else, and asks before."""

from __future__ import annotations

from pathlib import Path

import pytest

from move37.app.tidying import leftovers, may_go
from move37.lab.archive.lock import HomeLock
from move37.lab.archive.store import Archive
from move37.lab.records import Experiment, ExperimentStatus, Role
from tests.app.campaigns import a_whole_campaign
from tests.app.conftest import Move37

S = ExperimentStatus


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A finished campaign with a checkpoint for each experiment, a half-written one, and a stranger's file."""
    home = tmp_path / "home"
    a_whole_campaign(home)
    with Archive.open(home, readonly=True) as archive:
        for e in archive.experiments():
            folder = home / "checkpoints" / e.id / "0-0.001"
            folder.mkdir(parents=True)
            (folder / "seed0.safetensors").write_bytes(b"w" * 1000)
    (home / "checkpoints" / "somebody").mkdir()
    (home / "checkpoints" / "somebody" / "notes.txt").write_text("mine")
    (home / "checkpoints" / "half.safetensors.new").write_bytes(b"w" * 10)
    return home


def everything(home: Path) -> set[str]:
    return {str(p.relative_to(home)) for p in home.rglob("*") if p.is_file() and p.name != "lock"}


def statuses(home: Path) -> dict[str, ExperimentStatus]:
    with Archive.open(home, readonly=True) as archive:
        return {e.id: e.status for e in archive.experiments()}


def test_without_somebody_to_ask_it_only_says(move37: Move37, home: Path) -> None:
    before = everything(home)
    answer = move37("--home", str(home), "tidy")
    assert answer.status == 0 and "nothing was deleted" in answer.out and "MB in all" in answer.out
    assert everything(home) == before


def test_it_deletes_what_it_named_and_nothing_else(move37: Move37, home: Path) -> None:
    before, known = everything(home), statuses(home)
    assert move37("--home", str(home), "tidy", "--yes").status == 0
    gone = before - everything(home)
    kept = {i for i, status in known.items() if status in (S.PROMOTED, S.CONFIRMED)}
    assert gone == {f"checkpoints/{i}/0-0.001/seed0.safetensors" for i in known if i not in kept} | {
        "checkpoints/half.safetensors.new"
    }
    assert statuses(home) == known and move37("--home", str(home), "list").status == 0
    assert "nothing to tidy" in move37("--home", str(home), "tidy", "--yes").out
    assert (home / "checkpoints/somebody/notes.txt").read_text() == "mine"


def test_while_a_campaign_works_nothing_is_touched(move37: Move37, home: Path) -> None:
    before = everything(home)
    lock = HomeLock.acquire(home)
    try:
        answer = move37("--home", str(home), "tidy", "--yes")
    finally:
        lock.release()
    assert answer.status == 3 and everything(home) == before


def test_a_link_out_of_the_home_is_not_followed(tmp_path: Path, home: Path) -> None:
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "data.new").write_bytes(b"x" * 10)
    (home / "checkpoints" / "c9-001").symlink_to(outside, target_is_directory=True)
    stranger = Experiment(id="c9-001", campaign=1, number=1, role=Role.CANDIDATE, status=S.FAILED)
    assert all(outside not in (i.path, *i.path.parents) for i in leftovers(home, [stranger], {1: True}))
    assert "c9-001" not in {i.path.name for i in leftovers(home, [stranger], {1: True}, everything=True)}


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("status", list(S))
def test_what_a_resumed_campaign_goes_on_from_stays(status: ExperimentStatus, finished: bool) -> None:
    found = Experiment(id="c1-001", campaign=1, number=1, role=Role.CANDIDATE, status=status)
    goes = bool(may_go(found, finished=finished, everything=False))
    assert goes == (status in (S.FAILED, S.REJECTED) or (finished and status is S.MEASURED))
    assert not may_go(found, finished=False, everything=True) or status in (S.FAILED, S.REJECTED)


def test_a_home_without_campaigns_is_no_error(move37: Move37, tmp_path: Path) -> None:
    answer = move37("--home", str(tmp_path / "none"), "tidy")
    assert answer.status == 0 and "nothing to tidy" in answer.out and not (tmp_path / "none").exists()
