"""Two processes and one home: readers work while a writer writes, and no shard is ever lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import Timeout
from hypothesis import given, settings
from hypothesis import strategies as st

from move37.memory import MemoryUnavailable, open_memory
from move37.memory.edge import EdgeStore
from move37.memory.edge_convert import MANIFEST
from move37.memory.embedder_protocol import Embedder
from move37.memory.errors import HomeLocked, MemoryFault
from move37.memory.files import mirror, sizes, writing_lock
from move37.memory.importing import bring_in
from move37.memory.records import Entry
from move37.memory.snapshot import Snapshot
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


@pytest.fixture(params=("idle", pytest.param("busy", marks=pytest.mark.slow)))
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


def test_a_reader_sees_the_imports_that_wait_and_a_second_import_is_measured_against_them(
    holder: Path, embedder: Embedder
):
    def shown() -> set[str]:
        reader = open_memory(holder, embedder=embedder, read_only=True)
        try:
            found = [one.item for one in reader.index().all("cognition")]
            return {item.insight for item in found if isinstance(item, Entry) and item.key == "own"}
        finally:
            reader.close_now()

    def bring(*insights: str) -> tuple[int, int]:
        given = [an_entry(key="own", insight=text, number=n, symptoms=()) for n, text in enumerate(insights)]
        reader, writer = (open_memory(holder, embedder=embedder, read_only=only) for only in (True, False))
        done = bring_in(reader, writer, entries=given, lessons=(), progress=lambda *_: None)
        reader.close_now()
        return done.changed, done.waiting

    assert bring("alpha", "beta") == (2, 1) and shown() == {"alpha", "beta"}
    assert bring("alpha")[1] == 2 and shown() == {"alpha"}
    assert bring("alpha") == (0, 2), "what waits is compared with, too"


@pytest.mark.parametrize("holder", ("idle", "busy"), indirect=True)  # both are fast tests here
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
    mirror(source, tmp_path / "target")
    for name in ("deep/sparse", "small", "empty"):
        assert (tmp_path / "target" / name).read_bytes() == (source / name).read_bytes()
    on_disk, in_name = sizes(tmp_path / "target")
    assert in_name == (80 << 20) + 10 and on_disk < 4 << 20


PARTS = st.lists(st.sampled_from(("a", "b", "c")), min_size=1, max_size=3).map("/".join)
BYTES = st.sampled_from((b"", b"one", b"two" * 900, bytes(1 << 20) + b"end", b"x" + bytes(1 << 20)))
TREES = st.dictionaries(PARTS, BYTES, max_size=5)


def plant(root: Path, tree: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a tree that fit beside each other, and no others."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name, content in tree.items():
        if not any(root.joinpath(name).parents[n].is_file() for n in range(2)) and not (root / name).is_dir():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    return grown(root)


def grown(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@settings(max_examples=40)
@given(TREES, TREES)
def test_whatever_changed_between_two_passes_the_copy_is_alike(first: dict[str, bytes], second: dict[str, bytes]):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        assert plant(source, first) == {} or mirror(source, target)
        wanted = plant(source, second)
        mirror(source, target)
        assert grown(target) == wanted
        assert not mirror(source, target), "nothing is left to do"


def test_a_copy_is_made_before_a_writer_has_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first pass needs no lock; the second, under it, finds what was written meanwhile and nothing else."""
    made(tmp_path / "edge")
    passes = []

    def noted(source: Path, target: Path) -> bool:
        free = writing_lock(source)
        with suppress(Timeout):
            free.acquire(timeout=0)
        held = not free.is_locked
        free.release()
        changed = mirror(source, target)
        passes.append((held, changed))
        if len(passes) == 1:
            store = EdgeStore(source)
            store.open(SHAPE)
            store.upsert("things", [a_point(2, n=2)])
            store.close()
        return changed

    monkeypatch.setattr("move37.memory.snapshot.mirror", noted)
    copy = Snapshot(tmp_path / "edge")
    copy.open(SHAPE)
    assert passes == [(False, True), (True, True)] and copy.count("things") == 2
    copy.close()
    passes.append((False, False))  # no writer this time
    Snapshot(tmp_path / "edge").close()
    assert passes[-2:] == [(False, True), (True, False)]


def test_a_store_whose_writer_never_lets_go_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("move37.memory.snapshot.PATIENCE_S", 0.1)
    made(tmp_path / "edge")
    with writing_lock(tmp_path / "edge"):
        copy = Snapshot(tmp_path / "edge")
    copy.open(SHAPE)
    assert copy.count("things") == 1
    copy.close()


@pytest.mark.parametrize("how", ("no manifest", "damaged manifests", "a file of zeros"))
def test_a_reader_of_a_damaged_memory_is_told_which_and_changes_nothing(tmp_path: Path, how: str):
    """Not that it is empty, and not where the copy lay."""
    edge = tmp_path / "edge"
    made(edge)
    manifests = (edge / "things" / MANIFEST, edge / f"things.{MANIFEST}")
    for path in manifests:
        if how == "no manifest":
            path.unlink()
        if how == "damaged manifests":
            path.write_bytes(b"{")
    if how == "a file of zeros":
        for path in (edge / "things" / "segments").rglob("*.json"):
            path.write_bytes(bytes(path.stat().st_size))
    before = grown(edge)
    copy = Snapshot(edge)
    with pytest.raises(MemoryFault) as caught:
        copy.open(SHAPE)
    copy.close()
    assert str(edge) in str(caught.value) and str(copy._copy) not in str(caught.value)
    assert grown(edge) == before


def test_a_reader_of_a_creation_that_was_cut_off_sees_an_empty_memory(tmp_path: Path):
    (tmp_path / "edge" / "things" / "wal").mkdir(parents=True)
    copy = Snapshot(tmp_path / "edge")
    copy.open(SHAPE)
    assert copy.count("things") == 0
    copy.close()


@pytest.mark.parametrize("how", ("the shard", "the folder", "a loop", "links to nothing"))
def test_a_memory_with_links_is_read_as_it_is_written(tmp_path: Path, how: str):
    edge = tmp_path / "edge"
    made(edge)
    if how in ("the shard", "the folder"):
        place = edge / "things" if how == "the shard" else edge
        place.rename(tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    else:
        for folder in (edge, edge / "things"):
            (folder / "odd").symlink_to("." if how == "a loop" else "nowhere")
    copy = Snapshot(edge)
    copy.open(SHAPE)
    assert copy.count("things") == 1
    copy.close()


def test_a_reader_without_a_place_for_its_copy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made(tmp_path / "edge")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(MemoryUnavailable, match="cannot be copied"):
        Snapshot(tmp_path / "edge")


OPENER = """
import sys
from pathlib import Path
from move37.memory.edge import EdgeStore
from move37.memory.errors import HomeLocked
from tests.memory.conftest import SHAPE
store = EdgeStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
try:
    store.open(SHAPE)
except HomeLocked:
    print("locked", flush=True)
else:
    print("opened", flush=True)
    sys.stdin.readline()
"""


def test_two_who_create_the_same_memory_at_once_make_one(tmp_path: Path):
    both = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(tmp_path / "edge")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        pipes = [(p.stdin, p.stdout) for p in both if p.stdin is not None and p.stdout is not None]
        assert [out.readline() for _, out in pipes] == ["ready\n", "ready\n"]
        for into, _ in pipes:
            into.write("go\n")
            into.flush()
        assert sorted(out.readline() for _, out in pipes) == ["locked\n", "opened\n"]
    finally:
        for process in both:
            process.communicate("", timeout=60)
    assert not [path for path in (tmp_path / "edge").iterdir() if ".aside-" in path.name]


READER = """
import sys
from pathlib import Path
from move37.memory.snapshot import Snapshot
copy = Snapshot(Path(sys.argv[1]))
print(copy._copy, flush=True)
sys.stdin.read()
"""


def test_the_copy_of_a_reader_that_was_killed_goes_with_the_next_one(tmp_path: Path):
    made(tmp_path / "edge")
    process = subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path / "edge")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    copy = Path(process.stdout.readline().strip())
    Snapshot(tmp_path / "edge").close()
    assert copy.is_dir(), "its reader lives"
    process.kill()
    process.communicate(timeout=60)
    Snapshot(tmp_path / "edge").close()
    assert not copy.exists() and not copy.with_name(f"{copy.name}.lock").exists()
