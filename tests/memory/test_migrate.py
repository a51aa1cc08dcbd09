"""Moving house: schemas, another store, and JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from move37.memory import migrate
from move37.memory.edge import EdgeStore
from move37.memory.embed import MiniLM
from move37.memory.errors import InvalidPaper, MigrationFailed, OtherSchema, ServerUnreachable
from move37.memory.export import lines, read_lines
from move37.memory.library import Library
from move37.memory.local import open_local
from move37.memory.schema import COGNITION, collection
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
    library = Library(EdgeStore(tmp_path / "edge"), embedder)
    library.put_entries([an_entry(key=f"paper{n}", insight=f"Insight number {n}.") for n in range(7)])
    library.put_lessons([a_lesson(experiment=f"e{n}") for n in range(3)])
    yield library
    library.store.close()


def test_a_copy_agrees_by_count_checksum_and_vectors(filled: Library, tmp_path: Path):
    target = open_local(None)
    done = migrate.copy(filled, target, tmp_path / "notes.json")
    assert [(part.name, part.points, part.written) for part in done] == [("cognition", 7, 7), ("analyses", 3, 3)]
    assert len(done[0].checksum) == 64 and not (tmp_path / "notes.json").exists()
    found = Library(target, filled.embedder).search("number 3", limit=1)
    assert found[0].key == "paper3"


def test_an_interrupted_copy_goes_on_after_the_last_page(
    filled: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(migrate, "PAGE", 2)
    target = open_local(None)
    notes = tmp_path / "notes.json"
    with pytest.raises(ServerUnreachable):
        migrate.copy(filled, Fragile(target, 2), notes)  # type: ignore[arg-type]
    assert target.count("cognition") == 4 and notes.exists()
    done = migrate.copy(filled, target, notes)
    assert [part.written for part in done] == [3, 3] and target.count("cognition") == 7


def test_a_point_that_differs_in_the_copy_is_found(filled: Library, tmp_path: Path):
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
    1: lambda payload: {**payload, "remedy": payload["remedy"].upper()},
    2: lambda payload: {**payload, "area": "decay"},
}


def test_an_older_schema_is_raised_step_by_step_and_once(filled: Library):
    assert migrate.upgrade(filled, COGNITION, 1, migrations=STEPS, schema=3) == 7
    payloads = [point.payload for point in filled.store.scan(COGNITION)]
    assert {(p["schema"], p["remedy"], p["area"]) for p in payloads} == {(3, "ADD A LEARNED DECAY.", "decay")}
    assert migrate.upgrade(filled, COGNITION, 1, migrations=STEPS, schema=3) == 0
    assert filled.search("number 5", limit=1)[0].key == "paper5"


def test_a_killed_upgrade_goes_on(filled: Library):
    whole = filled.store
    filled.store = Fragile(whole, 3)  # type: ignore[assignment]
    with pytest.raises(ServerUnreachable):
        migrate.upgrade(filled, COGNITION, 1, migrations=STEPS, schema=3)
    filled.store = whole
    assert migrate.upgrade(filled, COGNITION, 1, migrations=STEPS, schema=3) == 4


def test_a_missing_step_and_a_newer_collection_are_refused(filled: Library, tmp_path: Path, embedder: MiniLM):
    with pytest.raises(MigrationFailed, match="from schema 3 to 4"):
        migrate.upgrade(filled, COGNITION, 1, migrations=STEPS, schema=4)
    migrate.upgrade(filled, COGNITION, 1, migrations=STEPS, schema=3)
    filled.store.close()
    with pytest.raises(OtherSchema, match="newer"):
        EdgeStore(tmp_path / "edge").open(collection(COGNITION, model=embedder.name, dimension=384))


def test_an_export_comes_back_as_it_was(filled: Library, tmp_path: Path):
    filled.put_entries([an_entry(origin="builtin", key="2400.00009")])
    path = tmp_path / "out.jsonl"
    path.write_text("\n".join(lines(filled)))
    entries, lessons = read_lines(path)
    assert len(entries) == 7 and len(lessons) == 3 and lessons[0].deltas == {"parity": 0.4}
    assert len(list(lines(filled, builtin=True))) == 11
    assert filled.put_entries(entries) == 0, "an unchanged export changes nothing"


@pytest.mark.parametrize(
    "line", ("{", "3", '{"kind": "x", "item": {}}', '{"kind": "cognition", "item": {"key": 3}}', '{"kind": "analysis"}')
)
def test_a_damaged_export_names_its_line(line: str, tmp_path: Path):
    path = tmp_path / "out.jsonl"
    good = json.dumps({"kind": "cognition", "item": {"key": "a", "number": 0, "origin": "person", "title": "T"}})
    path.write_text(f"{good}\n\n{line}\n")
    with pytest.raises(InvalidPaper, match=r"out\.jsonl, line 3"):
        read_lines(path)
