"""Writing and searching both collections."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest

from move37.memory.edge import EdgeStore
from move37.memory.errors import NotFound
from move37.memory.found import Found
from move37.memory.index import Index
from move37.memory.minilm import MiniLM
from move37.memory.papers import builtin_entries
from move37.memory.prebuilt import Prebuilt
from move37.memory.records import Entry
from move37.memory.schema import ANALYSES, COGNITION, entry_id, lesson_id
from move37.memory.store import Point, Where
from tests.memory.conftest import a_lesson, an_entry, effects

TOPICS = {
    "parity": "Parity needs a transition whose eigenvalue is negative.",
    "recall": "Recall with many queries needs mixing that depends on the input.",
    "position": "Rotary phases lose meaning beyond the trained length.",
    "norm": "Normalising keys keeps the erase step a contraction.",
}


FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


def titles(found: Sequence[Found]) -> list[str]:
    return [one.item.title for one in found if isinstance(one.item, Entry)]


def fill(index: Index) -> None:
    index.put_entries([an_entry(key=key, insight=text, name=key, symptoms=()) for key, text in TOPICS.items()])


def test_an_insight_is_found_by_meaning_and_by_words(index: Index):
    fill(index)
    for meaning in (0.0, 0.5, 1.0):
        hits = index.search("counting modulo two needs negative eigenvalues", limit=2, meaning=meaning)
        assert hits[0].key == "parity", meaning


def test_a_search_gives_one_hit_an_item_and_says_why(index: Index):
    fill(index)
    hits = index.search("recall with many queries", limit=10)
    assert len({hit.id for hit in hits}) == len(hits) == len(TOPICS)
    assert hits[0].key == "recall" and "queries" in hits[0].why and "place 1 by" in hits[0].why


def test_a_layouts_labels_do_not_steer_a_search(index: Index):
    fill(index)
    index.put_entries([an_entry(key="signs", name="Task performance signatures", insight="Architectural symptoms.")])
    plain = "- recall with many queries"
    labelled = f"**Task_Performance_Signatures**:\n{plain}\n\n**Architectural_Symptoms**:\n- input-dependent mixing"
    assert index.search(labelled, limit=1)[0].key == index.search(plain, limit=1)[0].key == "recall"


def test_writing_an_unchanged_file_again_does_nothing(index: Index):
    assert index.put_entries([an_entry(), an_entry(number=1)]) == 2
    assert index.put_entries([an_entry(), an_entry(number=1)]) == 0
    assert index.put_entries([an_entry(), an_entry(number=1, remedy="Other.")]) == 1


def test_insights_that_left_their_file_are_forgotten(index: Index):
    index.put_entries([an_entry(number=n) for n in range(3)])
    index.put_entries([an_entry(number=0)])
    assert [found.id for found in index.all(COGNITION)] == [entry_id(an_entry())]


def test_the_builtin_paper_and_a_persons_of_the_same_name_live_side_by_side(index: Index):
    index.put_entries([an_entry(origin="builtin"), an_entry(origin="person")])
    assert index.store.count(COGNITION) == 2


def test_filters_hold(index: Index):
    index.put_entries([an_entry(key="old", year=2017), an_entry(key="new", year=2025, families=("delta",))])
    others = {COGNITION: Where(none_of={"year": (2017,)})}
    assert [hit.key for hit in index.search("forget", where=others)] == ["new"]
    family = {COGNITION: Where(any_of={"families": ("gla", "ssd")})}
    assert [hit.key for hit in index.search("forget", where=family)] == ["old"]


def test_weak_evidence_ranks_under_strong_evidence_of_the_same_text(index: Index):
    weak = a_lesson(experiment="weak", seeds=1, effects=effects(parent=(-0.001, 0.02)))
    strong = a_lesson(experiment="strong", seeds=8, status="confirmed", rung=3, symptoms=("the loss oscillates late",))
    index.put_lessons([weak, strong])
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert index.search("the loss oscillates", where={ANALYSES: None}, now=now)[0].key == "strong"


def test_what_was_shown_makes_room_for_what_was_not(index: Index):
    fill(index)
    question = "Recall with many queries. Rotary phases lose meaning beyond the trained length."
    first = [hit.key for hit in index.search(question, limit=2)]
    again = [hit.key for hit in index.search(question, limit=2, shown={first[0]: 12})]
    assert set(first) == {"recall", "position"} and again[0] == first[1]


@pytest.mark.parametrize("lessons", (1, 3, 10, 30))
def test_the_lesson_that_is_the_question_is_found_however_few_lessons_there_are(
    index: Index, embedder: MiniLM, lessons: int
):
    index.put_entries(list(builtin_entries()[:120]), embedder=Prebuilt(embedder))
    about = "the loss of the two-path mixer rose late while its overwrite probe fell"
    index.put_lessons(
        [a_lesson(experiment="it", seen=about)]
        + [a_lesson(experiment=f"e{n}", seen=f"run {n} was unremarkable", symptoms=()) for n in range(lessons - 1)]
    )
    assert "it" in [hit.key for hit in index.search(about, limit=2)]


def test_near_duplicates_come_back_once(index: Index):
    index.put_lessons([a_lesson(experiment=f"e{n}") for n in range(4)])
    assert len(index.search("the loss oscillates", limit=4)) == 1


def test_one_ranking_spans_both_collections(index: Index):
    fill(index)
    index.put_lessons([a_lesson()])
    assert index.search("beta could reach two and the loss oscillates", limit=1)[0].kind == "analysis"
    assert index.search("rotary phases beyond the trained length", limit=1)[0].key == "position"


@pytest.mark.parametrize("text", ("", "   ", "\n"))
def test_an_empty_question_finds_nothing(index: Index, text: str):
    fill(index)
    assert index.search(text) == ()
    assert index.near(COGNITION, text, limit=3) == []


@pytest.mark.parametrize("text", ("the of and", "?!", "界", "x" * 5000, "word " * 3000))
def test_odd_questions_are_answered(index: Index, text: str):
    fill(index)
    assert len(index.search(text, limit=3)) <= 3


def test_an_item_is_got_and_forgotten_by_id_or_key(index: Index):
    index.put_entries([an_entry(number=n) for n in range(2)])
    index.put_lessons([a_lesson()])
    assert [found.item for found in index.get("2400.00001")] == [an_entry(), an_entry(number=1)]
    assert index.get("exp-1")[0].item == a_lesson()
    assert index.get(entry_id(an_entry()))[0].item == an_entry()
    assert index.forget("2400.00001") == 2
    with pytest.raises(NotFound):
        index.get("2400.00001")
    with pytest.raises(NotFound):
        index.forget("nothing")


def test_a_list_of_references_is_as_many_papers_as_it_has_entries(index: Index, tmp_path: Path, embedder: MiniLM):
    """A library in one file was one paper: its second entry counted less, and once one was shown, all of them."""
    texts = [f"Recall of keys with {many} queries needs mixing that depends on the input." for many in TOPICS]
    files = [an_entry(key=f"p{n}", title=f"T{n}", arxiv="", insight=text, symptoms=()) for n, text in enumerate(texts)]
    listed = [replace(entry, key="refs", number=n, name=entry.key) for n, entry in enumerate(files)]
    index.put_entries([replace(entry, name=entry.key) for entry in files])
    other = Index(EdgeStore(tmp_path / "other"), embedder)
    other.put_entries([replace(entry, source=f"refs.bib#{entry.name}") for entry in listed])
    apart = index.search("recall of keys with many queries", shown={"p1": 2})
    together = other.search("recall of keys with many queries", shown={"refs/p1": 2})
    assert titles(apart) == titles(together)
    assert [found.score for found in apart] == pytest.approx([found.score for found in together], abs=1e-5)
    for name in ("p2", "refs/p2"):
        assert [found.key for found in other.get(name)] == ["refs/p2"]
    assert len(other.get("refs")) == len(files) and other.forget("p2") == 1
    other.store.close()


def test_one_paper_under_two_names_is_one_paper(tmp_path: Path, embedder: MiniLM):
    """Its first version and its second, or a file and an entry of a list: a further insight of it counts less."""
    texts = [f"Recall of keys with {many} queries needs mixing that depends on the input." for many in TOPICS]
    orders = []
    for keys, ids in (("aabc", "...."), ("aAbc", "1123"), ("aAbc", "1234")):
        index = Index(EdgeStore(tmp_path / (keys + ids)), embedder)
        facts = zip(keys, ids, texts, strict=True)
        index.put_entries(
            [
                an_entry(key=key, number=n, arxiv=id.strip("."), title=f"T{n}", insight=text, symptoms=())
                for n, (key, id, text) in enumerate(facts)
            ]
        )
        orders.append(titles(index.search(texts[0])))
        index.store.close()
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("stored", FORMS)
@pytest.mark.parametrize("asked", FORMS)
def test_an_item_is_got_however_its_name_is_composed(
    index: Index, stored: Literal["NFC", "NFD"], asked: Literal["NFC", "NFD"]
):
    """A file's name on a Mac is decomposed, what a person types is not."""
    index.put_entries([an_entry(key=unicodedata.normalize(stored, "Schr\u00f6dinger"))])
    assert len(index.get(unicodedata.normalize(asked, "Schr\u00f6dinger"))) == 1


@pytest.mark.parametrize("broken", ({"year": "long ago"}, {"insight": None}, {"symptoms": 7}))
def test_a_paper_that_cannot_be_read_makes_room_for_the_next(
    tmp_path: Path, embedder: MiniLM, broken: dict[str, object]
):
    index = Index(EdgeStore(tmp_path), embedder)
    fill(index)
    question = "recall with many queries"
    before = [hit.key for hit in index.search(question, limit=3)]
    (damaged,) = [id for id, point in _all(index).items() if point.payload["key"] == before[0]]
    index.store.upsert(COGNITION, [replace(_all(index)[damaged], payload={**_all(index)[damaged].payload, **broken})])
    after = [hit.key for hit in index.search(question, limit=3)]
    assert before[0] == "recall" not in after and after[:2] == before[1:] and len(after) == 3
    index.store.close()


def _all(index: Index) -> dict[str, Point]:
    return {point.id: point for point in index.store.scan(COGNITION, vectors=True)}


def test_the_same_experiment_again_replaces_what_it_said(index: Index):
    index.put_lessons([a_lesson()])
    index.put_lessons([replace(a_lesson(), seen="it was a bug")])
    (found,) = index.all(ANALYSES)
    assert found.item == a_lesson(seen="it was a bug")


@pytest.mark.parametrize(
    "id",
    ("zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz", "{00000000-0000-0000-0000-0000000000}", "-" * 36, "\ud83d", "\x00", ""),
)
def test_what_only_looks_like_an_id_is_not_found(tmp_path: Path, embedder: MiniLM, id: str):
    index = Index(EdgeStore(tmp_path), embedder)
    for ask in (index.get, index.forget):
        with pytest.raises(NotFound):
            ask(id)
    index.store.close()


@pytest.mark.parametrize("broken", ({"steps": 2.0**70}, {"experiment": None}, {"probes": "none"}, {}))
def test_an_item_that_cannot_be_read_stops_none_of_the_others(
    tmp_path: Path, embedder: MiniLM, broken: dict[str, object]
):
    index = Index(EdgeStore(tmp_path), embedder)
    index.put_lessons([a_lesson(experiment="one"), a_lesson(experiment="two", seen="it never fell", symptoms=())])
    (point,) = index.store.fetch(ANALYSES, [lesson_id("two")], vectors=True).values()
    index.store.upsert(ANALYSES, [replace(point, payload={"key": "two", **(broken and {**point.payload, **broken})})])
    for found in (index.search("the loss rose"), list(index.all(ANALYSES)), index.get("one")):
        assert [one.key for one in found] == ["one"]
    assert [one.key for one, _ in index.near(ANALYSES, "the loss rose", limit=3)] == ["one"]
    with pytest.raises(NotFound):
        index.get("two")
    assert index.forget("two") == 1
    index.store.close()
