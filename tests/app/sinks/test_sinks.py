"""What is exported arrives: read back from TensorBoard's and MLflow's own files."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from move37.app.reading import pick_campaign, reading
from move37.app.sinks.sink import runs_of
from move37.app.views.campaign import view_of
from move37.lab.archive.live import Recorder
from tests.app.campaigns import a_whole_campaign
from tests.app.conftest import Move37


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sinks") / "home"
    a_whole_campaign(home)
    with Recorder(home, 1) as recorder:
        for step in (10, 20, 30):
            recorder.point("c1-001", "lm@100", 0, step, 5.0 - step / 10)
    return home


def test_every_experiment_is_a_run_with_finite_numbers_in_order(home: Path) -> None:
    with reading(home) as archive:
        runs = runs_of(view_of(archive, pick_campaign(archive)))
    assert len(runs) == 19
    for run in runs:
        assert all(math.isfinite(p.value) for p in run.points)
        assert [p.step for p in run.points] == sorted(p.step for p in run.points)
    first = next(r for r in runs if r.id == "c1-001")
    assert [p.value for p in first.points if p.metric.startswith("training_loss")] == [4.0, 3.0, 2.0]
    assert "Not distinguishable" in first.notes and first.source and first.settings["family"] == "gla"


def test_tensorboard_reads_it_back_once_however_often_it_is_sent(move37: Move37, home: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):
        answer = move37("--home", str(home), "export", "--to", f"tensorboard:{tmp_path}")
        assert answer.status == 0 and "19 experiments" in answer.out
    (folder,) = tmp_path.glob("move37-campaign-1-*/c1-001")
    events = EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()["tensors"] or events.Tags()["scalars"]
    loss = next(tag for tag in tags if tag.startswith("training_loss"))
    found = events.Tensors(loss) if loss in events.Tags()["tensors"] else events.Scalars(loss)
    assert [e.step for e in found] == [10, 20, 30]
    assert len([t for t in tags if t.startswith("bits_per_byte/fresh")]) == 5


def test_mlflow_reads_it_back_and_a_second_export_replaces_the_first(
    move37: Move37, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)  # as it is for whoever types what the page shows
    from mlflow.tracking import MlflowClient

    for _ in range(2):
        answer = move37("--home", str(home), "export", "--to", f"mlflow:{tmp_path / 'mlruns'}")
        assert answer.status == 0, answer.err
    client = MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    (experiment,) = (e for e in client.search_experiments() if e.name.startswith("move37 campaign 1 "))
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    assert len(runs) == 19
    run = next(r for r in runs if r.data.tags["move37.id"] == "c1-001")
    assert run.data.params["family"] == "gla" and run.data.tags["mlflow.note.content"]
    name = next(k for k in run.data.metrics if k.startswith("training_loss"))
    assert [m.value for m in client.get_metric_history(run.info.run_id, name)] == [4.0, 3.0, 2.0]


def test_two_homes_share_a_place_and_neither_removes_what_the_other_sent(
    move37: Move37, home: Path, tmp_path: Path
) -> None:
    """The first campaign of every home is number 1, its first candidate c1-001."""
    other = tmp_path / "other"
    a_whole_campaign(other)
    for kind in ("tensorboard", "mlflow"):
        pytest.importorskip(kind)
        for sender in (home, other, home):
            answer = move37("--home", str(sender), "export", "--to", f"{kind}:{tmp_path / kind}")
            assert answer.status == 0, answer.err
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "mlflow").as_uri())
    kept = [client.search_runs([e.experiment_id]) for e in client.search_experiments() if "move37" in e.name]
    assert [len(runs) for runs in kept] == [19, 19]
    assert len(list((tmp_path / "tensorboard").glob("*/c1-001/*tfevents*"))) == 2


@pytest.mark.parametrize("name", ["candidate.py", "weights/seed-0.pt"])
def test_a_folder_of_something_else_is_left_as_it_is(move37: Move37, home: Path, tmp_path: Path, name: str) -> None:
    pytest.importorskip("tensorboard")
    to = ("--home", str(home), "export", "--to", f"tensorboard:{tmp_path}")
    assert move37(*to).status == 0
    (folder,) = tmp_path.glob("move37-campaign-1-*/c1-001")
    files = [
        place / name for place in (tmp_path / "c1-001", folder)
    ]  # the first is what `finalize --out` may have made
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    answer = move37(*to)
    assert answer.status == 2 and answer.err.count("\n") == 1 and "name another place" in answer.err
    assert [file.read_text() for file in files] == ["mine", "mine"]


@pytest.mark.parametrize("place", ["mlflow:http://127.0.0.1:9/", "mlflow:FILE/runs", "tensorboard:FILE/runs"])
def test_a_place_that_cannot_be_written_to_is_one_sentence(
    move37: Move37, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    pytest.importorskip(place.partition(":")[0])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "file").write_text("")
    answer = move37("--home", str(home), "export", "--to", place.replace("FILE", str(tmp_path / "file")))
    assert answer.status == 3 and answer.err.count("\n") == 1 and "Traceback" not in answer.err


@pytest.mark.parametrize("place", ["nowhere", "tensorboard:", "s3:bucket", "mlflow:ftp://x"])
def test_a_place_that_is_none_is_wrong_use(move37: Move37, home: Path, place: str) -> None:
    answer = move37("--home", str(home), "export", "--to", place)
    assert answer.status == 2 and answer.err.count("\n") == 1


def test_a_missing_package_is_named(move37: Move37, home: Path) -> None:
    pytest.importorskip("plotly")
    try:
        import trackio  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
    except ModuleNotFoundError:
        answer = move37("--home", str(home), "export", "--to", "trackio:project")
        assert answer.status == 2 and "pip install trackio" in answer.err


def test_no_sink_is_imported_at_start_up() -> None:
    names = ("tensorboard", "mlflow", "nicegui", "wandb", "jinja2")
    code = f"import sys, move37.app.cli as c; c.build(); print([m for m in {names!r} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
