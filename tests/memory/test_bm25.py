"""Words: what counts as the same one, and how sparse vectors are made."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.memory import bm25

WORDS = (
    "gates", "gated", "flies", "fly", "ties", "is", "using", "rational", "rations", "rate", "1.3B", "fp32", "seeing",
    "see", "Ångström", "angstrom", "naïvely", "naive", "it", "as", "adding", "add",
)  # fmt: skip


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
    assert len({bm25.stem(word) for word in family}) == 1


def test_different_words_keep_different_stems():
    assert len({bm25.stem(word) for word in ("loss", "lossy", "state", "static", "parity", "part")}) >= 5


def test_names_with_numbers_stay_whole():
    assert bm25.words("Mamba2 at 1.3B in fp32") == ["mamba2", "1.3b", "fp32"]


@given(st.text(max_size=500))
def test_sparse_vectors_are_ascending_positive_and_bounded(text: str):
    vector = bm25.document(text)
    assert list(vector.indices) == sorted(set(vector.indices))
    assert all(0 <= index < 2**32 for index in vector.indices)
    assert all(value > 0 for value in vector.values)


def test_a_word_that_is_repeated_counts_more_but_never_over_the_saturation():
    def weight(times: int) -> float:
        vector = bm25.document("parity " * times)
        return dict(zip(vector.indices, vector.values, strict=True))[bm25.term_id(bm25.stem("parity"))]

    assert weight(1) < weight(3) < weight(50) < bm25.SATURATION + 1.0


def test_shared_words_are_given_in_the_questions_spelling():
    asked = bm25.spelled("Gates that forget slowly")
    assert bm25.shared(asked, "a gated layer forgets") == ("forget", "gates")


@given(st.text(max_size=80), st.text(max_size=300), st.lists(st.sampled_from(WORDS), max_size=30))
def test_what_two_texts_share_is_what_their_stems_share(asked: str, found: str, mixed: list[str]):
    asked, found = " ".join([asked, *mixed[::2]]), " ".join([found, *mixed[1::2]])
    known = bm25.spelled(asked)
    assert set(bm25.shared(known, found, limit=99)) == {known[one] for one in known.keys() & set(bm25.words(found))}


@pytest.mark.parametrize(
    ("asked", "found"),
    (
        ("Größe", "die GRÖSSE fällt"),
        ("внимание забывает", "Внимание быстро забывает ключи"),
        ("注意力", "机制注意力长"),
        ("전이 학습", "전이 빠른 학습"),
        ("ε-soft", "an ε of one tenth"),
    ),
)
def test_words_of_every_script_are_found(asked: str, found: str):
    shared = set(bm25.question(asked).indices) & set(bm25.document(found).indices)
    assert shared and bm25.shared(bm25.spelled(asked), found)


@given(st.text(alphabet="äÖßéñŁαйか注가 .-1aB", max_size=60))
def test_a_text_has_the_same_words_however_its_accents_are_composed(text: str):
    forms = [bm25.words(unicodedata.normalize(form, text)) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    assert forms[0] == forms[1] == forms[2] == forms[3] == bm25.words(text)


def test_a_layouts_labels_are_no_content_and_everything_else_is():
    text = "**Task_Signatures**:\n- Loss spikes\n**Late_Signs:** recall stalls **Old_Signs**: nan\nKey_Idea: gates"
    assert " ".join(bm25.content(text).split()) == "- Loss spikes recall stalls nan gates"
    for kept in ("**Decay**: forgets", "lambada_openai: low", "loss at O_i: high", "a plain line: with a colon"):
        assert bm25.content(kept) == kept
