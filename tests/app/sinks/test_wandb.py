"""W&B and trackio with their real packages, both on this machine alone; each is skipped where it is not installed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from move37.lab.archive.live import Recorder
from tests.app.campaigns import a_whole_campaign
from tests.app.conftest import Move37


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    a_whole_campaign(home)
    with Recorder(home, 1) as recorder:
        for step in (10, 20, 30):
            recorder.point("c1-001", "lm@100", 0, step, 5.0 - step / 10)
    return home


def test_trackio_keeps_every_number_at_its_step(
    move37: Move37, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trackio_utils = pytest.importorskip("trackio.utils")
    monkeypatch.setattr(trackio_utils, "TRACKIO_DIR", tmp_path / "trackio")
    storage = pytest.importorskip("trackio.sqlite_storage")
    monkeypatch.setattr(storage, "TRACKIO_DIR", tmp_path / "trackio")
    answer = move37("--home", str(home), "export", "--to", "trackio:move37-test")
    assert answer.status == 0 and "19 experiments" in answer.out
    with sqlite3.connect(tmp_path / "trackio" / "move37-test.db") as db:
        rows = db.execute("SELECT step, metrics FROM metrics WHERE run_name LIKE 'c1-001%' ORDER BY step").fetchall()
    losses = [(s, v) for s, text in rows for k, v in json.loads(text).items() if k.startswith("training_loss")]
    assert losses == [(10, 4.0), (20, 3.0), (30, 2.0)]


def test_wandb_offline_keeps_a_run_an_experiment(
    move37: Move37, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    answer = move37("--home", str(home), "export", "--to", "wandb:move37-test")
    assert answer.status == 0 and "19 experiments" in answer.out
    kept = list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert len(kept) == 19 and any(b"training_loss" in path.read_bytes() for path in kept)


def test_what_wandb_refuses_is_one_sentence(move37: Move37, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    answer = move37("--home", str(home), "export", "--to", "wandb:a/b?c")
    assert answer.status == 3 and "wandb does not take" in answer.err and "Traceback" not in answer.err
