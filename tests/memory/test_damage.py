"""Damage on the disk: nothing is removed, one sentence says what to do, and what can go on goes on."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest

from move37.memory import manifests, open_memory
from move37.memory.edge import EdgeStore
from move37.memory.edge_convert import MANIFEST
from move37.memory.errors import HomeLocked, MemoryFault, StoreBroken
from move37.memory.export import read_lines
from move37.memory.files import LOCK, mirror, writing_lock
from move37.memory.outbox import Outbox
from move37.memory.schema import lesson_id
from tests.memory.conftest import SHAPE, a_lesson, a_point


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "kept").write_text("mine")


HURT: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:9]),
    "zeroed": lambda path: path.write_bytes(bytes(40)),
    "not text": lambda path: path.write_bytes(b"\xff\xfe\x00\xd8"),
    "a list": lambda path: path.write_bytes(b"[1]"),
    "null": lambda path: path.write_bytes(b"null"),
    "without fields": lambda path: path.write_bytes(b"{}"),
    "other kinds": lambda path: path.write_bytes(b'{"model": 1, "dimension": "4", "schema": null}'),
    "a folder": folder,
}


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with one shard of one point."""
    store = EdgeStore(tmp_path / "edge")
    store.open(SHAPE)
    store.upsert("things", [a_point(1, n=1)])
    store.flush("things")
    store.close()
    return tmp_path / "edge"


@pytest.mark.parametrize("how", HURT)
def test_a_damaged_manifest_comes_back_from_its_twin(made: Path, how: str):
    HURT[how](made / "things" / MANIFEST)
    store = EdgeStore(made)
    store.open(SHAPE)
    assert store.count("things") == 1
    store.close()
    assert (made / "things" / f"{MANIFEST}.aside-1").exists(), "nothing is removed"


@pytest.mark.parametrize("how", HURT)
def test_where_both_are_damaged_one_sentence_says_what_to_do(made: Path, how: str):
    HURT[how](made / "things" / MANIFEST)
    HURT[how](made / f"things.{MANIFEST}")
    before = names(made)
    with pytest.raises(StoreBroken, match="move it away and import it again") as caught:
        EdgeStore(made).open(SHAPE)
    assert "\n" not in str(caught.value) and before <= names(made)


@pytest.mark.parametrize("there", ("a file", "files", "a log without segments"))
def test_what_stands_in_a_shards_place_is_kept(made: Path, there: str):
    if there == "a log without segments":
        shutil.rmtree(made / "things" / "segments")
        (made / "things" / MANIFEST).unlink()
    else:
        shutil.rmtree(made / "things")
        if there == "a file":
            (made / "things").write_text("mine")
        else:
            (made / "things" / "deep").mkdir(parents=True)
            (made / "things" / "deep" / "kept").write_text("mine")
    (made / f"things.{MANIFEST}").unlink()
    kept = {name.replace("things", "things.aside-1", 1) for name in names(made) if name.startswith("things")}
    store = EdgeStore(made)
    store.open(SHAPE)
    assert store.count("things") == 0 and kept <= names(made)
    store.close()


USE = """
import sys
from pathlib import Path
from move37.memory.edge import EdgeStore
from move37.memory.errors import MemoryFault
from tests.memory.conftest import SHAPE, a_point
for case in sorted(Path(sys.argv[1]).iterdir()):
    store = EdgeStore(case)
    try:
        store.open(SHAPE)
        list(store.scan("things", vectors=True))
        store.upsert("things", [a_point(2, n=2)])
        store.close()
    except MemoryFault as error:
        assert "\\n" not in str(error) and ("move" in str(error) or "check" in str(error)), str(error)
    print("case", case.name, flush=True)
"""


@pytest.mark.parametrize(("how", "first"), (("emptied", 0), ("zeroed", 1), ("a folder", 2)))
def test_a_shard_with_a_damaged_file_is_read_or_refused_and_nothing_is_removed(
    made: Path, tmp_path: Path, how: str, first: int
):
    """Every fourth of the engine's 40 files, others for each kind of damage."""
    cases = tmp_path / "cases"
    files = [path for path in (made / "things").rglob("*") if path.is_file() and path.stat().st_blocks]
    before = {}
    for number, path in enumerate(sorted(files)[first::4]):
        case = cases / f"{number:03}"
        mirror(made, case)
        HURT[how](case / path.relative_to(made))
        before[case] = names(case)
    done = subprocess.run([sys.executable, "-c", USE, str(cases)], capture_output=True, text=True, check=False)
    used = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("case ")]
    assert used == sorted(case.name for case in before), done.stderr[-2000:]
    lost = {name for case, known in before.items() for name in known - names(case)}
    made_anew = ("things/wal/", "/payload_index/", "_journal.dat")  # by the engine, from what stays
    assert {name for name in lost if not any(part in name for part in made_anew)} == set()


def test_a_lock_that_is_a_folder_is_one_sentence(made: Path):
    store = EdgeStore(made)
    store.open(SHAPE)
    (made / LOCK).unlink(missing_ok=True)
    (made / LOCK).mkdir()
    with pytest.raises(MemoryFault, match="check the folder"):
        store.upsert("things", [a_point(2)])
    assert store.count("things") == 1
    store.close()


def test_a_reader_that_was_stopped_while_it_copied_does_not_stop_a_writer(made: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("move37.memory.edge.PATIENCE_S", 0.2)
    store = EdgeStore(made)
    store.open(SHAPE)
    with writing_lock(made), pytest.raises(HomeLocked, match="end it"):
        store.upsert("things", [a_point(2)])
    store.upsert("things", [a_point(2)])
    assert store.count("things") == 2
    store.close()


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A power cut cannot be had here: the order of the calls is what outlives one."""
    done = []
    sync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def replaced(old: Path, new: Path) -> None:
        done.append("name")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    manifests.write(tmp_path / "things", {"model": "toy", "dimension": 4, "schema": 1})
    assert done == ["file", "name", "folder"] * 2


def test_loading_and_closing_write_and_so_wait_for_a_reader(made: Path, monkeypatch: pytest.MonkeyPatch):
    store = EdgeStore(made)
    with ThreadPoolExecutor(1) as pool:
        steps: tuple[tuple[str, Callable[..., object]], ...] = (("open", store.open), ("close", store.close))
        for step, work in steps:
            with writing_lock(made):
                running = pool.submit(work, *([SHAPE] if step == "open" else []))
                time.sleep(0.3)
                assert not running.done()
            running.result()
            if step == "open":
                store.upsert("things", [a_point(2)])
    monkeypatch.setattr("move37.memory.edge.PATIENCE_S", 0.2)
    with writing_lock(made), pytest.raises(HomeLocked):
        store.open(SHAPE)
    store.open(SHAPE)
    with writing_lock(made):
        store.close()  # a reader that was stopped does not keep it open
    store.open(SHAPE)
    assert store.count("things") == 2
    store.close()


def test_an_experiment_may_be_called_anything(tmp_path: Path):
    for name in ("", "\ud83d", "a/b\x00c", "../x", "x" * 5000):
        assert Outbox(tmp_path).put(a_lesson(experiment=name)).parent == tmp_path and lesson_id(name)
    assert len(Outbox(tmp_path)) == 5


@pytest.mark.parametrize("text", ("", "{", "[]", "null", '{"experiment": 1}', "\x00"))
async def test_a_damaged_lesson_in_the_queue_stays_and_stops_nothing(tmp_path: Path, embedder: object, text: str):
    memory = open_memory(tmp_path, embedder=embedder)  # type: ignore[arg-type]
    broken = memory.folder / "queue" / "broken.json"
    broken.parent.mkdir(parents=True)
    broken.write_text(text)
    (broken.parent / "folder.json").mkdir()
    os.symlink("nowhere", broken.parent / "link.json")
    await memory.remember(a_lesson(seen="the gate stuck at one"))
    assert [item.key for item in await memory.recall("the gate stuck at one")] == ["exp-1"]
    assert broken.read_text() == text
    await memory.close()


@pytest.mark.parametrize("sign", ("\u2028", "\u2029", "\x85", "\x0c", "\x1d"))
def test_an_export_comes_back_whatever_ends_a_line_elsewhere(tmp_path: Path, sign: str):
    lesson = a_lesson(seen=f"one{sign}two")
    path = tmp_path / "memory.jsonl"
    path.write_text(json.dumps({"kind": "analysis", "item": asdict(lesson)}, ensure_ascii=False) + "\n")
    assert read_lines(path).lessons == (lesson,)
