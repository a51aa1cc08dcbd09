"""Two processes and one home: readers work while a writer writes, and no shard is ever lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from move37.memory import MemoryUnavailable, open_memory
from move37.memory.edge import EdgeStore
from move37.memory.edge_convert import MANIFEST
from move37.memory.embedder_protocol import Embedder
from move37.memory.errors import HomeLocked
from move37.memory.files import copy_tree, sizes
from tests.memory.conftest import SHAPE, a_lesson, a_point, an_entry
from tests.memory.test_command import Shell

WRITER = """
import sys
from pathlib import Path
from move37.memory import open_memory
from tests.memory.conftest import a_lesson, an_entry
index = open_memory(Path(sys.argv[1])).index()
index.put_entries([an_entry(), an_entry(key="2400.00002", insight="Gates near one keep what is old.", symptoms=())])
for n in range(4):
    index.put_lessons([a_lesson(experiment=f"exp-{n}", seen=f"run {n} rose late", symptoms=())])
print("open", flush=True)
n = 4
while sys.argv[2] == "busy":
    index.put_lessons([a_lesson(experiment=f"exp-{n}", seen=f"run {n} rose late", symptoms=())])
    print(n, flush=True)
    n += 1
sys.stdin.read()
"""


@pytest.fixture(params=("idle", "busy"))
def holder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A home that another process holds; "busy" writes all the time."""
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home), request.param],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "open\n"
    try:
        yield home
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


def test_reading_commands_work_while_another_process_writes(holder: Path, capsys: pytest.CaptureFixture[str]):
    shell = Shell(holder, capsys)
    (answer,) = shell.json("search", "gates near one", "--limit", "2")
    assert answer["hits"][0]["key"] == "2400.00002"
    assert shell.json("stats")["analyses"]["experiments"] >= 4
    assert shell.json("show", "exp-1")[0]["seen"] == "run 1 rose late"
    assert shell("export") == 0 and len(shell.out.splitlines()) >= 6
    assert shell("forget", "exp-1") == 3 and "Another process" in shell.err


def test_an_import_beside_another_process_waits_and_stops_neither(
    holder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], embedder: Embedder
):
    notes = tmp_path / "notes"
    notes.mkdir()
    for name in ("one", "two"):
        (notes / f"{name}.txt").write_text(f"Notes {name} about a decay that was lost.")
    shell = Shell(holder, capsys)
    assert shell("import", str(notes)) == 0 and "2 of them new" in shell.err and "as it goes" in shell.err
    assert shell.json("stats")["imports"] == 1
    memory = open_memory(holder, embedder=embedder)
    with pytest.raises(HomeLocked):
        memory.index()
    assert len(memory.parcels) == 1


async def test_a_readers_copy_holds_what_waits_and_leaves_it_to_the_holder(holder: Path, embedder: Embedder):
    writer = open_memory(holder, embedder=embedder)
    await writer.remember(a_lesson(experiment="waiting", seen="the gate stuck at one"))
    with pytest.raises(HomeLocked):
        await writer.recall("gate")
    reader = open_memory(holder, embedder=embedder, read_only=True)
    assert "waiting" in {item.key for item in await reader.recall("the gate stuck at one", kinds=("analysis",))}
    assert len(reader.outbox) == 1
    copy = reader._index.store._copy  # type: ignore[union-attr]
    await reader.close()
    assert not copy.exists()


def test_a_home_that_may_only_be_read_is_read(tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch):
    memory = open_memory(tmp_path, embedder=embedder)
    memory.index().put_entries([an_entry()])
    memory.close_now()

    def refuse(*_: object, **__: object) -> None:
        raise MemoryUnavailable("Read-only file system")

    monkeypatch.setattr("move37.memory.backend.open_store", refuse)
    with pytest.raises(MemoryUnavailable):
        open_memory(tmp_path, embedder=embedder).index()
    assert open_memory(tmp_path, embedder=embedder, read_only=True).index().store.count("cognition") == 1


def made(folder: Path) -> EdgeStore:
    store = EdgeStore(folder)
    store.open(SHAPE)
    store.upsert("things", [a_point(1, n=1)])
    store.close()
    return store


def test_a_lost_manifest_comes_back_from_its_twin(tmp_path: Path):
    store = made(tmp_path)
    (tmp_path / "things" / MANIFEST).unlink()
    store.open(SHAPE)
    assert store.count("things") == 1 and (tmp_path / "things" / MANIFEST).exists()
    store.close()


def test_a_shard_without_any_manifest_is_set_aside_and_never_removed(tmp_path: Path):
    for _ in range(2):
        store = made(tmp_path)
        (tmp_path / "things" / MANIFEST).unlink()
        (tmp_path / f"things.{MANIFEST}").unlink()
    store.open(SHAPE)
    assert store.count("things") == 0
    store.close()
    asides = sorted(tmp_path.glob("things.aside-*"))
    assert [path.name for path in asides] == ["things.aside-1", "things.aside-2"]
    asides[1].rename(tmp_path / "things.mine")
    kept = EdgeStore(tmp_path / "rescued")
    (tmp_path / "rescued").mkdir()
    (tmp_path / "things.mine").rename(tmp_path / "rescued" / "things")
    (tmp_path / "rescued" / "things" / MANIFEST).write_text(json.dumps({"model": "toy", "dimension": 4, "schema": 1}))
    kept.open(SHAPE)
    assert kept.count("things") == 1
    kept.close()


@pytest.mark.parametrize("cut", ("nothing", "folder", "no points"))
def test_a_creation_that_was_cut_off_is_begun_again(tmp_path: Path, cut: str):
    if cut == "folder":
        (tmp_path / "things" / "wal").mkdir(parents=True)
    if cut == "no points":
        store = EdgeStore(tmp_path)
        store.open(SHAPE)
        store.close()
        (tmp_path / "things" / MANIFEST).unlink()
        (tmp_path / f"things.{MANIFEST}").unlink()
    store = EdgeStore(tmp_path)
    store.open(SHAPE)
    assert store.count("things") == 0 and not list(tmp_path.glob("*.aside-*"))
    store.close()


def test_a_copy_keeps_holes_and_bytes(tmp_path: Path):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    with (source / "deep" / "sparse").open("wb") as file:
        file.seek(50 << 20)
        file.write(b"end")
        file.truncate(80 << 20)
    (source / "small").write_bytes(b"x" * 10)
    (source / "empty").touch()
    copy_tree(source, tmp_path / "target")
    for name in ("deep/sparse", "small", "empty"):
        assert (tmp_path / "target" / name).read_bytes() == (source / name).read_bytes()
    on_disk, in_name = sizes(tmp_path / "target")
    assert in_name == (80 << 20) + 10 and on_disk < 4 << 20
