"""Vectors: the fast way equals the slow one, whatever the batch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.memory.embed import MiniLM, passages

TEXTS = [
    "a",
    "Recall falls as soon as keys repeat.",
    "S_t = a_t S_{t-1} + k_t v_t^T",
    "ünï çødé " * 30,
    "word " * 600,
    "",
]


def test_a_text_has_the_same_vector_alone_and_in_a_batch(embedder: MiniLM):
    together = embedder.embed(TEXTS)
    assert together.shape == (len(TEXTS), 384)
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    for text, row in zip(TEXTS, together, strict=True):
        assert embedder.embed([text])[0] == pytest.approx(row, abs=2e-6)


@pytest.mark.slow
def test_the_vectors_are_those_of_sentence_transformers(embedder: MiniLM, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from sentence_transformers import SentenceTransformer

    from move37.memory.embed import model_folder

    twin = SentenceTransformer(str(model_folder()), device="cpu").encode(TEXTS, normalize_embeddings=True)
    assert np.abs(embedder.embed(TEXTS) - twin).max() < 5e-6  # float32, six layers


def test_searching_imports_neither_torch_nor_transformers():
    code = (
        "import sys; from move37.memory.embed import MiniLM; MiniLM().embed(['a'])\n"
        "import move37.memory.recall, move37.memory.ingest\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(st.text(max_size=2000))
def test_passages_lose_no_word_and_are_short(text: str):
    pieces = passages(text, words=10)
    assert " ".join(pieces).split() == text.split()
    assert all(0 < len(piece.split()) <= 10 for piece in pieces)
