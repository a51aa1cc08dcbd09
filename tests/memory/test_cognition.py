"""The shipped vectors are those of the shipped texts."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from move37.memory.minilm import MiniLM
from move37.memory.papers import BUILTIN, builtin_entries, operators
from move37.memory.prebuilt import FILE, Prebuilt, build, key_of
from move37.memory.records_to_vectors import all_passages
from move37.memory.render import stored


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


NEEDED = {  # a paper, and what one must know of it to write the layer
    "2406.06484": ("S_{t-1} (I - b_t k_t k_t^T)", "(I + tril(diag(b) K K^T, -1))^{-1}"),
    "2006.16236": ("elu(x) + 1", "z_t"),
    "2312.06635": ("diag(a_t)", "1/16"),
    "2307.08621": ("1 - 2^(-5-h)",),
    "2312.00752": ("exp(D_t A)", "[.001, .1]"),
    "2405.21060": ("exp(-D_t exp(A_log))", "[1, 16]"),
    "2412.06464": ("softplus",),
    "2502.10297": ("prod_{j=1..n}",),
    "2510.26692": ("diag(a_t) S_{t-1}",),
    "2503.14456": ("diag(w_t) - r_t^T (a_t * r_t)",),
    "2205.14135": ("rowmax",),
}


@pytest.mark.parametrize("key", NEEDED)
def test_a_paper_says_what_one_needs_to_implement_it(key: str):
    text = "\n".join(stored(entry) for entry in builtin_entries() if entry.key == key)
    assert [part for part in NEEDED[key] if part not in text] == []


def test_the_base_has_the_foundations_of_its_families():
    keys = {entry.key for entry in builtin_entries()}
    foundations = "2006.16236 1706.03762 2402.18668 2402.04347 2009.14794 1911.02150 2305.13245 2205.14135 2307.08691"
    foundations += " 2401.04658 2501.08313 2306.09539 2105.14103 2406.07887 2502.01578 2504.06949"
    assert set(foundations.split()) <= keys


def test_what_the_grammar_cannot_draw_is_named_apart():
    names = [(BUILTIN / name).read_text().splitlines() for name in ("operators.txt", "operators_beyond.txt")]
    drawn, beyond = ({line for line in lines if line and not line.startswith("#")} for lines in names)
    assert not drawn & beyond and drawn | beyond == operators()
    wanted = {"vector_decay_erase", "several_reflections", "separate_erase_write", "log_linear_state"}
    assert wanted <= {operator for entry in builtin_entries() for operator in entry.operators}
