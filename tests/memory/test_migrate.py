"""Moving house: schemas, another store, and JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from move37.memory import migrate, open_memory
from move37.memory.edge import EdgeStore
from move37.memory.errors import InvalidPaper, MigrationFailed, OtherSchema, ServerUnreachable
from move37.memory.export import lines, read_lines
from move37.memory.found import KINDS
from move37.memory.index import Index
from move37.memory.local import open_local
from move37.memory.minilm import MiniLM
from move37.memory.records import Lesson, RecordedPrinciple
from move37.memory.schema import ANALYSES, COGNITION, collection, lesson_of
from move37.memory.store import Point
from tests.memory.conftest import a_lesson, an_entry


class Fragile:
    """A real store whose writes fail after some pages, as a server that goes away."""

    def __init__(self, store, pages: int) -> None:
        self._store, self._pages = store, pages

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def upsert(self, name: str, points: Sequence[Point]) -> None:
        if self._pages == 0:
            raise ServerUnreachable("gone")
        self._pages -= 1
        self._store.upsert(name, points)


@pytest.fixture
def filled(tmp_path: Path, embedder: MiniLM):
    index = Index(EdgeStore(tmp_path / "edge"), embedder)
    index.put_entries([an_entry(key=f"paper{n}", insight=f"Insight number {n}.") for n in range(7)])
    index.put_lessons([a_lesson(experiment=f"e{n}") for n in range(3)])
    index.put_principles([RecordedPrinciple(id="1", text="Gates help.", supports=("e1",))])
    yield index
    index.store.close()


def test_a_copy_agrees_by_count_checksum_and_vectors(filled: Index, tmp_path: Path):
    target = open_local(None)
    done = migrate.copy(filled, target, tmp_path / "notes.json")
    assert [(part.name, part.points, part.written) for part in done] == [
        ("cognition", 7, 7),
        ("analyses", 3, 3),
        ("principles", 1, 1),
    ]
    assert len(done[0].checksum) == 64 and not (tmp_path / "notes.json").exists()
    found = Index(target, filled.embedder).search("number 3", limit=1)
    assert found[0].key == "paper3"


def test_an_interrupted_copy_goes_on_after_the_last_page(
    filled: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(migrate, "PAGE", 2)
    target = open_local(None)
    notes = tmp_path / "notes.json"
    with pytest.raises(ServerUnreachable):
        migrate.copy(filled, Fragile(target, 2), notes)  # type: ignore[arg-type]
    assert target.count("cognition") == 4 and notes.exists()
    done = migrate.copy(filled, target, notes)
    assert [part.written for part in done] == [3, 3, 1] and target.count("cognition") == 7


def test_a_point_that_differs_in_the_copy_is_found(filled: Index, tmp_path: Path):
    target = open_local(None)
    migrate.copy(filled, target, tmp_path / "notes.json")
    point = next(filled.store.scan("cognition", vectors=True))
    for broken in (
        replace(point, payload={**point.payload, "title": "changed"}),
        replace(point, dense={**point.dense, "insight": -point.dense["insight"]}),
        replace(point, sparse={}),
    ):
        target.upsert("cognition", [broken])
        with pytest.raises(MigrationFailed, match=point.id):
            migrate.verify(filled.store, target, "cognition")
    target.delete("cognition", [point.id])
    with pytest.raises(MigrationFailed, match="missing"):
        migrate.verify(filled.store, target, "cognition")


STEPS = {
    2: lambda payload: {**payload, "remedy": payload["remedy"].upper()},
    3: lambda payload: {**payload, "area": "decay"},
}


def test_an_older_schema_is_raised_step_by_step_and_once(filled: Index):
    assert migrate.upgrade(filled, COGNITION, 2, migrations=STEPS, schema=4) == 7
    payloads = [point.payload for point in filled.store.scan(COGNITION)]
    assert {(p["schema"], p["remedy"], p["area"]) for p in payloads} == {(4, "ADD A LEARNED DECAY.", "decay")}
    assert migrate.upgrade(filled, COGNITION, 2, migrations=STEPS, schema=4) == 0
    assert filled.search("number 5", limit=1)[0].key == "paper5"


def test_a_killed_upgrade_goes_on(filled: Index):
    whole = filled.store
    filled.store = Fragile(whole, 3)  # type: ignore[assignment]
    with pytest.raises(ServerUnreachable):
        migrate.upgrade(filled, COGNITION, 2, migrations=STEPS, schema=4)
    filled.store = whole
    assert migrate.upgrade(filled, COGNITION, 2, migrations=STEPS, schema=4) == 4


def test_a_missing_step_and_a_newer_collection_are_refused(filled: Index, tmp_path: Path, embedder: MiniLM):
    with pytest.raises(MigrationFailed, match="from schema 4 to 5"):
        migrate.upgrade(filled, COGNITION, 2, migrations=STEPS, schema=5)
    migrate.upgrade(filled, COGNITION, 2, migrations=STEPS, schema=4)
    filled.store.close()
    with pytest.raises(OtherSchema, match="newer"):
        EdgeStore(tmp_path / "edge").open(collection(COGNITION, model=embedder.name, dimension=384))


def test_an_export_comes_back_as_it_was(filled: Index, tmp_path: Path):
    filled.put_entries([an_entry(origin="builtin", key="2400.00009")])
    path = tmp_path / "out.jsonl"
    path.write_text("\n".join(lines(filled)))
    back = read_lines(path)
    assert len(back.entries) == 7 and {lesson.experiment for lesson in back.lessons} == {"e0", "e1", "e2"}
    assert back.lessons[0].effects == a_lesson().effects and back.lessons[0].probes == a_lesson().probes
    assert back.principles == (RecordedPrinciple(id="1", text="Gates help.", supports=("e1",)),)
    assert len(list(lines(filled, builtin=True))) == 12
    assert filled.put_entries(back.entries) == 0, "an unchanged export changes nothing"


OLD_LESSON = {
    "experiment": "old-1", "task": "mixers", "name": "doubled", "family": "delta", "parents": ["b-delta"],
    "status": "measured", "rung": 2, "operators": ["beta_two"], "expected": "parity", "seen": "the loss rose late",
    "why": "it oscillates", "next": "clip beta", "symptoms": ["the loss oscillates"], "effect": -0.02, "low": -0.0396,
    "high": -0.0004, "seeds": 5, "deltas": {"parity": 0.4}, "finished_at": "2026-11-20T10:00:00+00:00",
}  # fmt: skip
OLD_ENTRY = {
    "key": "2400.00001", "number": 0, "origin": "builtin", "title": "Gates", "name": "Gates forget", "arxiv": "",
    "year": 2024, "area": "decay", "families": ["gla"], "mechanism": "A gate.", "insight": "It forgets what is old.",
    "symptoms": [], "remedy": "", "equations": "", "complexity": "", "background": "", "operators": [], "source": "",
}  # fmt: skip


def test_a_home_of_the_first_layout_is_read_on(tmp_path: Path, embedder: MiniLM):
    """Payloads and manifests as the first layout wrote them."""
    index = Index(EdgeStore(tmp_path / "memory" / "edge"), embedder)
    index.put_lessons([lesson_of(OLD_LESSON)])
    index.put_entries([an_entry(**{k: v for k, v in OLD_ENTRY.items() if not isinstance(v, list)})])
    index.put_entries([an_entry(key="mine", task="mixers")])
    for name in (ANALYSES, COGNITION):
        for point in list(index.store.scan(name, vectors=True)):
            old = dict(OLD_LESSON) if name == ANALYSES else dict(point.payload)
            old.pop("task") if name == COGNITION else None
            payload = {"schema": 1, "key": point.payload["key"], "families": ["delta"], "at": "", "digest": "x"} | old
            index.store.upsert(name, [replace(point, payload=payload | {"schema": 1})])
        index.store.stamp(replace(index.shape(name), schema=1))
    index.store.close()
    memory = open_memory(tmp_path, embedder=embedder)
    (found,) = memory.index().all(ANALYSES)
    assert isinstance(found.item, Lesson) and found.item.next == "clip beta"
    best = found.item.effects.best
    assert best is not None and best.gain == -0.02 and best.error == pytest.approx(0.01)
    tasks = {one.key: one.payload["task"] for one in memory.index().all(COGNITION)}
    assert tasks == {"2400.00001": "mixers", "mine": ""}
    assert memory.index().schemas == dict.fromkeys(KINDS, 2)
    memory.close_now()


def test_an_export_of_the_first_layout_comes_back(tmp_path: Path):
    path = tmp_path / "old.jsonl"
    old = [{"kind": "analysis", "item": OLD_LESSON}, {"kind": "cognition", "item": OLD_ENTRY}]
    path.write_text("\n".join(json.dumps(line) for line in old))
    back = read_lines(path)
    assert back.lessons[0].effects.best is not None and back.lessons[0].next == "clip beta"
    assert back.entries[0].insight == "It forgets what is old."


@pytest.mark.parametrize(
    "line", ("{", "3", '{"kind": "x", "item": {}}', '{"kind": "cognition", "item": {"key": 3}}', '{"kind": "analysis"}')
)
def test_a_damaged_export_names_its_line(line: str, tmp_path: Path):
    path = tmp_path / "out.jsonl"
    good = json.dumps({"kind": "cognition", "item": {"key": "a", "number": 0, "origin": "person", "title": "T"}})
    path.write_text(f"{good}\n\n{line}\n")
    with pytest.raises(InvalidPaper, match=r"out\.jsonl, line 3"):
        read_lines(path)
