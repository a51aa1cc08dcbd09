"""Ranking decides without an engine: fusion, weights, diversity, budgets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.memory import rank
from move37.memory.store import Hit
from tests.memory.conftest import a_lesson, effects


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


def test_words_of_two_collections_compare_whatever_each_engine_counts_as_rare():
    """A home with one lesson knows no rare word: its BM25 is small even for the very text that was asked."""
    lists = {
        "insight": [Hit("own", 0.98), Hit("paper", 0.5), Hit("other", 0.4)],
        "insight_words": [Hit("paper", 32.1), Hit("other", 20.0), Hit("own", 7.5)],
    }
    groups = {"own": "analyses", "paper": "cognition", "other": "cognition"}
    assert rank.fuse(lists)[0].id == "paper"
    assert rank.fuse(lists, groups=groups)[0].id == "own"


def test_a_collection_without_anything_near_does_not_win_by_being_small():
    lists = {
        "insight": [Hit("paper", 0.7), Hit("own", 0.05)],
        "insight_words": [Hit("paper", 30.0), Hit("own", 0.3)],
    }
    ranked = rank.fuse(lists, groups={"own": "analyses", "paper": "cognition"})
    assert [item.id for item in ranked] == ["paper", "own"] and ranked[1].score < 0.1


def test_a_clear_result_counts_more_than_one_within_its_noise_whatever_its_sign():
    def worth(gain: float, error: float | None) -> float:
        return rank.evidence(a_lesson(effects=effects(parent=(gain, error)), seeds=1))

    assert worth(-0.2, 0.05) == worth(0.2, 0.05) > worth(-0.0019, 0.018) + 0.2
    assert worth(0.05, None) == worth(0.0, 0.05)
    lucky = a_lesson(effects=effects(best=(0.05, None)), seeds=1)
    solid = a_lesson(status="confirmed", effects=effects(best=(0.02, 0.0025)), seeds=8, rung=3)
    assert rank.weigh(0.9, evidence=rank.evidence(solid), recency=1.0) > rank.weigh(
        1.0, evidence=rank.evidence(lucky), recency=1.0
    )


@given(st.integers(0, 50), st.integers(-1, 6), st.floats(-10, 10), st.floats(0, 5))
def test_evidence_and_recency_are_fractions(seeds: int, rung: int, gain: float, error: float):
    lesson = a_lesson(seeds=seeds, rung=rung, effects=effects(parent=(gain, error)))
    assert 0.0 <= rank.evidence(lesson) <= 1.0
    assert 0.0 < rank.recency(float(seeds)) <= 1.0


@given(st.integers(-3, 100))
def test_what_was_shown_more_often_is_worth_less_and_never_nothing(times: int):
    assert 0.0 < rank.shown_before(times + 1) <= rank.shown_before(times) <= 1.0 == rank.shown_before(0)


def test_near_duplicates_are_suppressed_and_the_first_stays_first():
    same = np.asarray([1.0, 0.0], dtype=np.float32)
    vectors = {"a": same, "copy": same, "b": np.asarray([0.0, 1.0], dtype=np.float32)}
    assert rank.mmr([("a", 1.0), ("copy", 0.99), ("b", 0.3)], vectors, limit=3) == ("a", "b")


def test_diversity_prefers_another_subject_among_equals():
    near = np.asarray([0.9, 0.436], dtype=np.float32)
    vectors = {"a": np.asarray([1.0, 0.0], np.float32), "near": near, "else": np.asarray([0.0, 1.0], np.float32)}
    order = [("a", 1.0), ("near", 0.81), ("else", 0.80)]
    assert rank.mmr(order, vectors, limit=2) == ("a", "else")
    assert rank.mmr(order, vectors, limit=2, diversity=1.0) == ("a", "near")


def test_a_second_insight_of_one_paper_waits_for_another_paper():
    order = [("a1", 1.0), ("a2", 0.9), ("b", 0.7), ("c", 0.2)]
    sources = {"a1": "A", "a2": "A", "b": "B", "c": "C"}
    assert rank.mmr(order, {}, limit=3) == ("a1", "a2", "b")
    assert rank.mmr(order, {}, limit=3, sources=sources) == ("a1", "b", "a2"), "later, but before what is far worse"


def test_negative_scores_keep_their_order():
    assert rank.mmr([("bad", -9.0), ("good", -1.0), ("fair", -4.0)], {}, limit=3) == ("good", "fair", "bad")


@given(st.lists(st.integers(0, 500), max_size=12), st.integers(0, 2000))
def test_a_budget_is_kept_by_leaving_out_whole_texts(lengths: list[int], budget: int):
    kept = rank.whole(lengths, budget)
    assert sum(lengths[place] for place in kept) <= budget
    assert list(kept) == sorted(set(kept))
    left = budget - sum(lengths[place] for place in kept)
    assert all(lengths[place] > left for place in range(len(lengths)) if place not in kept)
    assert sum(lengths) > budget or len(kept) == len(lengths)


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


def slow_fuse(lists: dict[str, list[Hit]], groups: dict[str, str]) -> list[tuple[str, float]]:
    """The meaning of `rank.fuse`, one item after the other."""
    dense = [hit for name, hits in lists.items() if not name.endswith("_words") for hit in hits]
    words = [hit for name, hits in lists.items() if name.endswith("_words") for hit in hits]
    cosines = {one.id: max(hit.score for hit in dense if hit.id == one.id) for one in dense}
    counts = {one.id: sum(hit.score for hit in words if hit.id == one.id) for one in words}
    low, high = (min(cosines.values()), max(cosines.values())) if cosines else (0.0, 0.0)

    def best(group: str) -> float:
        most = max(count for id, count in counts.items() if groups[id] == group)
        nearest = max((cosine for id, cosine in cosines.items() if groups[id] == group), default=0.0)
        return most * (high / nearest if high > 0 and nearest > 0 else 1.0)

    def score(id: str) -> float:
        near = 0.0 if id not in cosines else (cosines[id] - low) / (high - low) if high > low else 1.0
        said = counts[id] / best(groups[id]) if id in counts and best(groups[id]) > 0 else 0.0
        return rank.MEANING * near + (1.0 - rank.MEANING) * said

    return sorted(((id, score(id)) for id in {*cosines, *counts}), key=lambda pair: (-pair[1], pair[0]))


@given(
    st.dictionaries(st.sampled_from(("symptom", "insight", "symptom_words", "insight_words")), hits),
    st.integers(0, 63),
    st.integers(0, 7),
)
def test_the_fast_fusion_is_the_slow_one(lists: dict[str, list[Hit]], homes: int, limit: int):
    lists = {
        name: [hit for hit in found if not name.endswith("_words") or hit.score > 0] for name, found in lists.items()
    }
    groups = {id: "analyses" if homes >> place & 1 else "cognition" for place, id in enumerate("abcdef")}
    fast = [(item.id, item.score) for item in rank.fuse(lists, groups=groups, limit=limit)]
    assert fast == slow_fuse(lists, groups)[:limit]


def slow_mmr(
    order: list[tuple[str, float]], vectors: dict[str, np.ndarray], limit: int, sources: dict[str, str]
) -> tuple[str, ...]:
    """The meaning of `rank.mmr`, one item after the other."""
    left, chosen = list(order), list[str]()
    low = min(0.0, *(score for _, score in order))
    span = max(score for _, score in order) - low or 1.0
    relevance = {id: (score - low) / span for id, score in order}
    nearest = {id: 0.0 for id, _ in order}
    while left and len(chosen) < limit:
        worth = {id: (rank.DIVERSITY * relevance[id] - (1 - rank.DIVERSITY) * nearest[id], score) for id, score in left}
        best = max(left, key=lambda item: worth[item[0]])[0]
        chosen.append(best)
        likeness = {id: float(vectors[id] @ vectors[best]) for id, _ in left}
        for id in likeness:
            nearest[id] = max(nearest[id], likeness[id])
            relevance[id] *= rank.SAME_SOURCE if sources[id] == sources[best] else 1.0
        left = [(id, score) for id, score in left if id != best and likeness[id] < rank.DUPLICATE]
    return tuple(chosen)


@given(st.lists(st.floats(-1.0, 1.0, width=16), min_size=1, max_size=16), st.integers(0, 2**16), st.integers(1, 8))
def test_the_fast_choice_is_the_slow_one(scores: list[float], seed: int, limit: int):
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((len(scores), 3)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    order = [(f"i{place}", score) for place, score in enumerate(scores)]
    vectors = {id: row for (id, _), row in zip(order, rows, strict=True)}
    sources = {id: f"paper{place % 3}" for place, (id, _) in enumerate(order)}
    assert rank.mmr(order, vectors, limit=limit, sources=sources) == slow_mmr(order, vectors, limit, sources)
