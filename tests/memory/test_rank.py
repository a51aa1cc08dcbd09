"""Ranking decides without an engine: fusion, weights, diversity, budgets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.memory import rank
from move37.memory.store import Hit
from tests.memory.conftest import a_lesson


def test_an_item_that_both_halves_find_beats_one_that_a_single_half_finds():
    lists = {
        "insight": [Hit("both", 0.6), Hit("dense", 0.6), Hit("other", 0.1)],
        "insight_words": [Hit("both", 5.0), Hit("sparse", 5.0)],
    }
    order = [item.id for item in rank.fuse(lists)]
    assert order[0] == "both" and order[-1] == "other"


def test_an_item_without_symptoms_loses_nothing_against_one_with():
    lists = {
        "symptom": [Hit("with", 0.5)],
        "insight": [Hit("without", 0.7), Hit("with", 0.2), Hit("far", 0.0)],
    }
    assert [item.id for item in rank.fuse(lists)] == ["without", "with", "far"]


def test_all_meaning_or_all_words_is_that_list_alone():
    lists = {"insight": [Hit("a", 0.9), Hit("b", 0.1)], "insight_words": [Hit("b", 9.0), Hit("a", 1.0)]}
    assert rank.fuse(lists, meaning=1.0)[0].id == "a"
    assert rank.fuse(lists, meaning=0.0)[0].id == "b"


hits = st.lists(st.builds(Hit, st.sampled_from("abcdef"), st.floats(-1, 30)), max_size=6, unique_by=lambda hit: hit.id)


@given(st.dictionaries(st.sampled_from(("symptom", "insight", "symptom_words", "insight_words")), hits))
def test_scores_stay_between_zero_and_one_and_each_id_comes_once(lists: dict[str, list[Hit]]):
    ranked = rank.fuse({n: [h for h in hs if not n.endswith("_words") or h.score > 0] for n, hs in lists.items()})
    assert len({item.id for item in ranked}) == len(ranked)
    assert all(-1e-9 <= item.score <= 1.0 + 1e-9 for item in ranked)
    assert [item.score for item in ranked] == sorted((item.score for item in ranked), reverse=True)


def test_a_confirmed_result_with_a_tight_interval_counts_more_than_one_lucky_seed():
    lucky = a_lesson(status="measured", effect=0.05, low=None, high=None, seeds=1)
    solid = a_lesson(status="confirmed", effect=0.02, low=0.015, high=0.025, seeds=8, rung=3)
    assert rank.evidence(solid) > 2 * rank.evidence(lucky)
    assert rank.weigh(0.9, evidence=rank.evidence(solid), recency=1.0) > rank.weigh(
        1.0, evidence=rank.evidence(lucky), recency=1.0
    )


@given(st.integers(0, 50), st.integers(-1, 6), st.floats(-10, 10), st.floats(0, 5))
def test_evidence_and_recency_are_fractions(seeds: int, rung: int, effect: float, half: float):
    lesson = a_lesson(seeds=seeds, rung=rung, effect=effect, low=effect - half, high=effect + half)
    assert 0.0 <= rank.evidence(lesson) <= 1.0
    assert 0.0 < rank.recency(float(seeds)) <= 1.0


def test_near_duplicates_are_suppressed_and_the_first_stays_first():
    same = np.asarray([1.0, 0.0], dtype=np.float32)
    vectors = {"a": same, "copy": same, "b": np.asarray([0.0, 1.0], dtype=np.float32)}
    assert rank.spread([("a", 1.0), ("copy", 0.99), ("b", 0.3)], vectors, limit=3) == ("a", "b")


def test_diversity_prefers_another_subject_among_equals():
    near = np.asarray([0.9, 0.436], dtype=np.float32)
    vectors = {"a": np.asarray([1.0, 0.0], np.float32), "near": near, "else": np.asarray([0.0, 1.0], np.float32)}
    order = [("a", 1.0), ("near", 0.81), ("else", 0.80)]
    assert rank.spread(order, vectors, limit=2) == ("a", "else")
    assert rank.spread(order, vectors, limit=2, diversity=1.0) == ("a", "near")


def test_a_second_insight_of_one_paper_waits_for_another_paper():
    order = [("a1", 1.0), ("a2", 0.9), ("b", 0.7), ("c", 0.2)]
    sources = {"a1": "A", "a2": "A", "b": "B", "c": "C"}
    assert rank.spread(order, {}, limit=3) == ("a1", "a2", "b")
    assert rank.spread(order, {}, limit=3, sources=sources) == ("a1", "b", "a2"), "later, but before what is far worse"


def test_negative_scores_of_a_reranker_keep_their_order():
    assert rank.spread([("bad", -9.0), ("good", -1.0), ("fair", -4.0)], {}, limit=3) == ("good", "fair", "bad")


@given(st.text(max_size=400), st.integers(0, 120))
def test_a_cut_text_is_a_beginning_within_the_budget(text: str, budget: int):
    short = rank.cut(text, budget)
    assert rank.tokens(short) <= budget
    assert short == text or text.startswith(short.removesuffix(" …"))


@given(st.lists(st.integers(0, 500), max_size=12), st.integers(0, 2000))
def test_a_shared_budget_is_never_exceeded_and_spent_when_needed(lengths: list[int], budget: int):
    rooms = rank.share(lengths, budget)
    assert sum(rooms) <= budget and all(room <= length for room, length in zip(rooms, lengths, strict=True))
    if lengths and sum(lengths) <= budget:
        assert list(rooms) == lengths or sum(rooms) <= budget


def test_our_count_of_tokens_is_not_under_a_real_tokenizers(embedder):
    texts = (
        "Gated delta rule: S_t = a_t S_{t-1}(I - b_t k_t k_t^T) + b_t v_t k_t^T, beta in (0, 2).",
        "The loss on second occurrences of a bigram is much higher than that of a softmax baseline.",
        "Antidisestablishmentarianism 1234567890 x=[1,2,3]; def f(x): return x**2",
    )
    embedder.embed(["load"])
    for text in texts:
        real = len(embedder._tokenizer.encode(text, add_special_tokens=False).ids)
        assert rank.tokens(text) >= 0.95 * real


def test_equal_scores_are_ordered_by_id():
    lists = {"insight_words": [Hit("b", 1.0), Hit("a", 1.0)]}
    assert [item.id for item in rank.fuse(lists)] == ["a", "b"]
    assert rank.fuse(lists)[0].score == pytest.approx(1.0 - rank.MEANING)
