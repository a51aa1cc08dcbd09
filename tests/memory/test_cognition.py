"""The shipped vectors are those of the shipped texts."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from move37.memory.encoder import all_passages
from move37.memory.minilm import MiniLM
from move37.memory.papers import builtin_entries
from move37.memory.prebuilt import FILE, Prebuilt, build, key_of


class Counting(MiniLM):
    """Counts the texts that it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def embed(self, texts):
        self.asked += len(texts)
        return super().embed(texts)


def test_the_shipped_vectors_cover_the_base_and_are_the_models(embedder: MiniLM):
    texts = all_passages(builtin_entries())
    counting = Counting()
    known = Prebuilt(counting).embed(texts)
    assert counting.asked == 0, "run python -m move37.memory.prebuilt after editing papers"
    sample = random.Random(37).sample(range(len(texts)), min(20, len(texts)))
    fresh = embedder.embed([texts[place] for place in sample])
    assert (known[sample] * fresh).sum(axis=1).min() > 0.9995
    assert np.allclose(np.linalg.norm(known, axis=1), 1.0, atol=1e-5)


def test_a_changed_text_is_embedded_and_a_missing_file_is_no_fault(tmp_path: Path):
    text = all_passages(builtin_entries())[0]
    counting = Counting()
    Prebuilt(counting).embed([text, text + " changed"])
    assert counting.asked == 1
    Prebuilt(counting, tmp_path / "none.npz").embed([text])
    assert counting.asked == 2


def test_the_same_text_under_another_model_is_another_key():
    assert key_of("a", "text") != key_of("b", "text")


def test_the_file_is_small():
    assert FILE.stat().st_size < 2 << 20


def test_building_writes_every_passage(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("move37.memory.prebuilt.builtin_entries", lambda: builtin_entries()[:2])
    assert build(tmp_path / "v.npz") == len(all_passages(builtin_entries()[:2]))
