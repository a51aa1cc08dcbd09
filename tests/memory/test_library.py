"""Writing and searching both collections."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from move37.memory.errors import NotFound
from move37.memory.library import Library
from move37.memory.schema import ANALYSES, COGNITION, entry_id
from move37.memory.store import Where
from tests.memory.conftest import a_lesson, an_entry

TOPICS = {
    "parity": "Parity needs a transition whose eigenvalue is negative.",
    "recall": "Recall with many queries needs mixing that depends on the input.",
    "position": "Rotary phases lose meaning beyond the trained length.",
    "norm": "Normalising keys keeps the erase step a contraction.",
}


def fill(library: Library) -> None:
    library.put_entries([an_entry(key=key, insight=text, name=key, symptoms=()) for key, text in TOPICS.items()])


def test_an_insight_is_found_by_meaning_and_by_words(library: Library):
    fill(library)
    for meaning in (0.0, 0.5, 1.0):
        hits = library.search("counting modulo two needs negative eigenvalues", limit=2, meaning=meaning)
        assert hits[0].key == "parity", meaning


def test_a_search_gives_one_hit_an_item_and_says_why(library: Library):
    fill(library)
    hits = library.search("recall with many queries", limit=10)
    assert len({hit.id for hit in hits}) == len(hits) == len(TOPICS)
    assert hits[0].key == "recall" and "queries" in hits[0].why and "place 1 by" in hits[0].why


def test_a_layouts_labels_do_not_steer_a_search(library: Library):
    fill(library)
    library.put_entries([an_entry(key="signs", name="Task performance signatures", insight="Architectural symptoms.")])
    plain = "- recall with many queries"
    labelled = f"**Task_Performance_Signatures**:\n{plain}\n\n**Architectural_Symptoms**:\n- input-dependent mixing"
    assert library.search(labelled, limit=1)[0].key == library.search(plain, limit=1)[0].key == "recall"


def test_writing_an_unchanged_file_again_does_nothing(library: Library):
    assert library.put_entries([an_entry(), an_entry(number=1)]) == 2
    assert library.put_entries([an_entry(), an_entry(number=1)]) == 0
    assert library.put_entries([an_entry(), an_entry(number=1, remedy="Other.")]) == 1


def test_insights_that_left_their_file_are_forgotten(library: Library):
    library.put_entries([an_entry(number=n) for n in range(3)])
    library.put_entries([an_entry(number=0)])
    assert [found.id for found in library.all(COGNITION)] == [entry_id(an_entry())]


def test_the_builtin_paper_and_a_persons_of_the_same_name_live_side_by_side(library: Library):
    library.put_entries([an_entry(origin="builtin"), an_entry(origin="person")])
    assert library.store.count(COGNITION) == 2


def test_filters_hold(library: Library):
    library.put_entries([an_entry(key="old", year=2017), an_entry(key="new", year=2025, families=("delta",))])
    after = {COGNITION: Where(between={"year": (2020, None)})}
    assert [hit.key for hit in library.search("forget", where=after)] == ["new"]
    family = {COGNITION: Where(any_of={"families": ("gla", "ssd")})}
    assert [hit.key for hit in library.search("forget", where=family)] == ["old"]


def test_weak_evidence_ranks_under_strong_evidence_of_the_same_text(library: Library):
    weak = a_lesson(experiment="weak", seeds=1, low=None, high=None)
    strong = a_lesson(experiment="strong", seeds=8, status="confirmed", rung=3, symptoms=("the loss oscillates late",))
    library.put_lessons([weak, strong])
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert library.search("the loss oscillates", where={ANALYSES: None}, now=now)[0].key == "strong"


def test_near_duplicates_come_back_once(library: Library):
    library.put_lessons([a_lesson(experiment=f"e{n}") for n in range(4)])
    assert len(library.search("the loss oscillates", limit=4)) == 1


def test_one_ranking_spans_both_collections(library: Library):
    fill(library)
    library.put_lessons([a_lesson()])
    assert library.search("beta could reach two and the loss oscillates", limit=1)[0].kind == "analysis"
    assert library.search("rotary phases beyond the trained length", limit=1)[0].key == "position"


def test_a_reranker_has_the_last_word(library: Library):
    fill(library)
    library._reranker = lambda question, texts: [1.0 if "Rotary" in text else 0.0 for text in texts]
    hits = library.search("parity", limit=2)
    assert hits[0].key == "position" and "reranker" in hits[0].why


@pytest.mark.parametrize("text", ("", "   ", "\n"))
def test_an_empty_question_finds_nothing(library: Library, text: str):
    fill(library)
    assert library.search(text) == ()
    assert library.near(COGNITION, text, limit=3) == []


@pytest.mark.parametrize("text", ("the of and", "?!", "界", "x" * 5000, "word " * 3000))
def test_odd_questions_are_answered(library: Library, text: str):
    fill(library)
    assert len(library.search(text, limit=3)) <= 3


def test_an_item_is_got_and_forgotten_by_id_or_key(library: Library):
    library.put_entries([an_entry(number=n) for n in range(2)])
    library.put_lessons([a_lesson()])
    assert [found.item for found in library.get("2400.00001")] == [an_entry(), an_entry(number=1)]
    assert library.get("exp-1")[0].item == a_lesson()
    assert library.get(entry_id(an_entry()))[0].item == an_entry()
    assert library.forget("2400.00001") == 2
    with pytest.raises(NotFound):
        library.get("2400.00001")
    with pytest.raises(NotFound):
        library.forget("nothing")


def test_the_same_experiment_again_replaces_what_it_said(library: Library):
    library.put_lessons([a_lesson()])
    library.put_lessons([replace(a_lesson(), seen="it was a bug")])
    (found,) = library.all(ANALYSES)
    assert found.item == a_lesson(seen="it was a bug")
