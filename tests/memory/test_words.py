"""Words: what counts as the same one, and how sparse vectors are made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.memory import words


@pytest.mark.parametrize(
    "family",
    (
        ("gate", "gates", "gated", "gating"),
        ("normalise", "normalised", "normalization", "normalizes"),
        ("decay", "decays", "decaying"),
        ("query", "queries"),
        ("loss",),
    ),
)
def test_forms_of_one_word_share_a_stem(family: tuple[str, ...]):
    assert len({words.stem(word) for word in family}) == 1


def test_different_words_keep_different_stems():
    assert len({words.stem(word) for word in ("loss", "lossy", "state", "static", "parity", "part")}) >= 5


def test_names_with_numbers_stay_whole():
    assert words.words("Mamba2 at 1.3B in fp32") == ["mamba2", "1.3b", "fp32"]


@given(st.text(max_size=500))
def test_sparse_vectors_are_ascending_positive_and_bounded(text: str):
    vector = words.document(text)
    assert list(vector.indices) == sorted(set(vector.indices))
    assert all(0 <= index < 2**32 for index in vector.indices)
    assert all(value > 0 for value in vector.values)


def test_a_word_that_is_repeated_counts_more_but_never_over_the_saturation():
    def weight(times: int) -> float:
        vector = words.document("parity " * times)
        return dict(zip(vector.indices, vector.values, strict=True))[words.term_id(words.stem("parity"))]

    assert weight(1) < weight(3) < weight(50) < words.SATURATION + 1.0


def test_shared_words_are_given_in_the_questions_spelling():
    assert words.shared("Gates that forget slowly", "a gated layer forgets") == ("forget", "gates")


def test_a_layouts_labels_are_no_content_and_everything_else_is():
    text = "**Task_Signatures**:\n- Loss spikes\n**Late_Signs:** recall stalls **Old_Signs**: nan\nKey_Idea: gates"
    assert " ".join(words.content(text).split()) == "- Loss spikes recall stalls nan gates"
    for kept in ("**Decay**: forgets", "lambada_openai: low", "loss at O_i: high", "a plain line: with a colon"):
        assert words.content(kept) == kept
