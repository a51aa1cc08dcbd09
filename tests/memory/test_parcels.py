"""Imports beside a campaign: embedded while nobody's store is held, kept on the disk, taken in a few at a time."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.memory import open_memory
from move37.memory.embedder_protocol import Embedder
from move37.memory.importing import bring_in
from move37.memory.parcels import UNREADABLE, Parcel, Parcels, packed, unpacked
from move37.memory.recall import PARCELS
from move37.memory.records import Entry
from move37.memory.records_to_vectors import entry_points
from move37.memory.stats import count
from move37.memory.store import Point, Sparse
from tests.memory.conftest import a_lesson, an_entry
from tests.shortened import slow_but

UNUSABLE = ("empty", "cut", "zeros", "text", "a folder", "another model", "other weights")
ROWS = st.integers(0, 3).flatmap(
    lambda count: st.lists(
        st.lists(st.floats(-1, 1, width=32), min_size=4, max_size=4), min_size=count, max_size=count
    ).map(lambda rows: np.asarray(rows, dtype=np.float32).reshape(count, 4))
)
WORDS = st.dictionaries(st.integers(0, 2**32 - 1), st.floats(0, 9, width=32), max_size=4).map(
    lambda terms: Sparse(tuple(sorted(terms)), tuple(terms[key] for key in sorted(terms)))
)
PAYLOADS = st.dictionaries(st.text(max_size=6), st.none() | st.integers() | st.text() | st.lists(st.text()), max_size=4)
POINTS = st.builds(
    Point,
    id=st.uuids().map(str),
    dense=st.dictionaries(st.sampled_from(("symptom", "insight")), ROWS, max_size=2),
    sparse=st.dictionaries(st.sampled_from(("symptom_words", "insight_words")), WORDS, max_size=2),
    payload=PAYLOADS,
)


@given(st.lists(POINTS, max_size=5), st.lists(st.uuids().map(str), max_size=3))
def test_what_is_packed_comes_back(points: list[Point], forgotten: list[str]):
    back = unpacked(packed(Parcel(collection="cognition", model="m", points=points, forgotten=forgotten)))
    assert (back.collection, back.model, list(back.forgotten)) == ("cognition", "m", forgotten)
    assert len(back.points) == len(points)
    for one, other in zip(points, back.points, strict=True):
        assert (one.id, one.sparse, one.payload) == (other.id, other.sparse, other.payload)
        assert one.dense.keys() == other.dense.keys()
        assert all(np.array_equal(rows, other.dense[name]) for name, rows in one.dense.items())


def entries(count: int, **changes: object) -> list[Entry]:
    return [an_entry(key=f"2400.{n:05}", insight=f"note {n}", symptoms=(), **changes) for n in range(count)]


def bring(home: Path, embedder: Embedder, given: list[Entry], **more: object) -> tuple[int, int, list[tuple[int, int]]]:
    """(changed, waiting, what was said of the progress)."""
    said: list[tuple[int, int]] = []
    reader, writer = (open_memory(home, embedder=embedder, read_only=only) for only in (True, False))
    done = bring_in(reader, writer, entries=given, progress=lambda *place: said.append(place), **more)  # type: ignore[arg-type]
    writer.close_now()
    return done.changed, done.waiting, said


def test_an_import_writes_what_writing_at_once_would(tmp_path: Path, embedder: Embedder):
    given = entries(3)
    assert bring(tmp_path, embedder, given, lessons=[a_lesson()]) == (3, 0, [(3, 4), (4, 4)])
    assert bring(tmp_path, embedder, given) == (0, 0, [])
    changed = [*given[:1], an_entry(key="2400.00001", insight="another note", number=1, symptoms=())]
    assert bring(tmp_path, embedder, changed)[:2] == (1, 0), "of the second file one insight left and one came"
    index = open_memory(tmp_path, embedder=embedder).index()
    assert {(found.key, found.item.number) for found in index.all("cognition") if isinstance(found.item, Entry)} == {
        ("2400.00000", 0),
        ("2400.00001", 1),
        ("2400.00002", 0),
    }
    assert index.search("another note", limit=1)[0].key == "2400.00001" and index.get("exp-1")
    index.store.close()


def test_a_campaign_takes_in_a_few_at_a_time(tmp_path: Path, embedder: Embedder):
    memory = open_memory(tmp_path, embedder=embedder)
    memory.index()
    for entry in entries(2 * PARCELS + 1):
        points = entry_points([entry], embedder)
        memory.parcels.put(Parcel(collection="cognition", model=embedder.name, points=points))
    counts = [memory.index().store.count("cognition") for _ in range(4)]
    assert counts == [PARCELS, 2 * PARCELS, 2 * PARCELS + 1, 2 * PARCELS + 1] and len(memory.parcels) == 0
    memory.close_now()


@pytest.mark.parametrize("how", slow_but(UNUSABLE, ("cut", "a folder", "other weights")))
def test_a_parcel_that_cannot_be_taken_in_is_kept_and_stops_nothing(tmp_path: Path, embedder: Embedder, how: str):
    memory = open_memory(tmp_path, embedder=embedder)
    memory.index()
    memory.close_now()
    first, second = (entry_points([entry], embedder) for entry in entries(2))
    model = "another" if how == "another model" else embedder.name
    weights = "others" if how == "other weights" else embedder.digest
    path = memory.parcels.put(Parcel(collection="cognition", model=model, digest=weights, points=first))
    raw = path.read_bytes()
    damage = {"empty": b"", "cut": raw[: len(raw) // 2], "zeros": bytes(len(raw)), "text": b"hello"}
    if how in damage:
        path.write_bytes(damage[how])
    if how == "a folder":
        path.unlink()
        path.mkdir()
    memory.parcels.put(Parcel(collection="cognition", model=embedder.name, points=second))
    reader = open_memory(tmp_path, embedder=embedder, read_only=True)
    assert reader.index().store.count("cognition") == 1 and len(reader.parcels) == 2, "a reader moves nothing"
    reader.close_now()
    memory.index()
    assert memory.index().store.count("cognition") == 1 and len(memory.parcels) == 0
    kept = [one.name for one in path.parent.iterdir() if one.name.startswith(path.name)]
    assert len(kept) == 1 and kept[0].endswith((".damaged", ".refused"))
    assert count(memory)["set_aside"] == 1
    memory.close_now()


def test_a_queue_without_a_folder_is_empty(tmp_path: Path):
    assert len(Parcels(tmp_path / "none")) == 0 and list(Parcels(tmp_path / "none").waiting()) == []


def test_whatever_bit_of_a_parcel_is_wrong_it_is_a_parcel_or_none(embedder: Embedder):
    raw = packed(Parcel(collection="cognition", model="m", points=entry_points(entries(1), embedder)))
    headers = [at for at in range(len(raw)) if b"PK" in raw[max(0, at - 12) : at + 12]]  # zip's own fields
    for at in [*headers, *range(0, len(raw), 97)]:
        for bit in range(8):
            damaged = bytearray(raw)
            damaged[at] ^= 1 << bit
            with suppress(*UNREADABLE):
                unpacked(bytes(damaged))
