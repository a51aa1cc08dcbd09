"""Vectors: the fast way equals the slow one, whatever the batch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.memory import open_memory
from move37.memory.embed import LARGE, Default, open_embedder, passages, spread
from move37.memory.embedder_protocol import DEFAULT
from move37.memory.errors import BackendMissing, OtherModel
from move37.memory.minilm import MiniLM
from move37.memory.transformer import Transformer
from tests.memory.conftest import an_entry

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


@pytest.fixture(scope="module")
def library(embedder: MiniLM) -> Transformer:
    """The slow twin; the model is loaded once (some seconds)."""
    return Transformer(DEFAULT, folder=embedder.folder)


def test_the_fast_start_gives_the_librarys_vectors(embedder: MiniLM, library: Transformer):
    assert np.abs(embedder.embed(TEXTS) - library.embed(TEXTS)).max() < 5e-6  # float32, six layers
    assert (library.dimension, library.name, library.digest) == (embedder.dimension, embedder.name, embedder.digest)


def test_large_batches_go_through_the_library_and_questions_do_not(monkeypatch: pytest.MonkeyPatch):
    chosen = open_embedder()
    assert isinstance(chosen, Default)
    took: list[str] = []

    def embed(texts: list[str], way: str) -> Any:
        took.append(way)
        return np.zeros((len(texts), 384))

    for way in ("_fast", "_library"):
        monkeypatch.setattr(getattr(chosen, way), "embed", partial(embed, way=way))
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)
    chosen.embed(["a question"])
    chosen.embed(["some", "passages"])
    chosen.embed(["a" * LARGE])
    assert took == ["_fast", "_fast", "_library"]
    monkeypatch.setitem(sys.modules, "sentence_transformers", sys)
    chosen.embed(["some", "passages"])
    assert took[-1] == "_library", "what is loaded anyway is used"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, embedder: MiniLM) -> Path:
    """Another model: the default's first two layers."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(embedder.folder), device="cpu")
    model[0].auto_model.encoder.layer = model[0].auto_model.encoder.layer[:2]
    model[0].auto_model.config.num_hidden_layers = 2
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save(str(folder))
    return folder


def test_a_home_keeps_the_model_it_began_with_whatever_a_setting_names(tmp_path: Path, tiny: Path):
    memory = open_memory(tmp_path, embedding_model=str(tiny))
    memory.index().put_entries([an_entry()])
    assert memory.index().embedder.name == "tiny"
    assert memory.index().search("the state fills up without forgetting")[0].key == "2400.00001"
    memory.close_now()
    moved = shutil.move(tiny, tmp_path / "elsewhere" / "tiny")
    assert open_memory(tmp_path, embedding_model=str(moved)).index().store.count("cognition") == 1
    shutil.move(moved, tiny)


def test_other_weights_of_the_same_name_are_refused(tmp_path: Path, tiny: Path):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny, folder)
    memory = open_memory(tmp_path / "home", embedding_model=str(folder))
    memory.index().put_entries([an_entry()])
    memory.close_now()
    weights = folder / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(OtherModel, match="other weights"):
        open_memory(tmp_path / "home", embedding_model=str(folder)).index()
    with pytest.raises(OtherModel, match="all-MiniLM-L6-v2"):
        open_memory(tmp_path / "home").index()


@pytest.mark.parametrize("model", ("no/such-model", "/no/such/folder", "."))
def test_a_model_that_is_not_here_is_one_sentence(tmp_path: Path, model: str):
    with pytest.raises(BackendMissing, match=r"is not on this machine, or cannot be loaded \(.*memory.embedding_model"):
        open_memory(tmp_path, embedding_model=model).index()


def test_searching_imports_neither_torch_nor_transformers():
    code = (
        "import sys; from move37.memory.embed import open_embedder; open_embedder().embed(['a'])\n"
        "import move37.memory.recall, move37.memory.ingest\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


SCRIPTS = st.text(alphabet=st.sampled_from("ab1_(\u3042\u754c\u3002\u0434\u0645\U0001f600-= \n."), max_size=4000)


@given(st.text(max_size=2000) | SCRIPTS)
def test_passages_lose_no_sign_and_are_short(text: str):
    pieces = passages(text, words=10)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(0 < len(piece.split()) <= 10 for piece in pieces)


UNSPACED = {
    "chinese": "\u5faa\u73af\u72b6\u6001\u7684\u5927\u5c0f\u662f\u56fa\u5b9a\u7684" * 400,
    "chinese sentences": "\u72b6\u6001\u7684\u5927\u5c0f\u662f\u56fa\u5b9a\u7684\u3002" * 400,
    "one word": "a" * 40_000,
    "digits": "0123456789" * 2000,
    "code": "state[i,j]=f(x[i],y[j])*g(k_t,v_t); " * 400,
    "numbers": "0.123456, " * 800,
    "russian": "\u0441\u043e\u0441\u0442\u043e\u044f\u043d\u0438\u0435 \u043f\u0430\u043c\u044f\u0442\u0438 " * 500,
    "english": "The state of a recurrent mixer is of a fixed size, whatever was read. " * 300,
    "emoji": "\U0001f600" * 3000,
}


@pytest.mark.parametrize("kind", UNSPACED)
def test_the_model_reads_every_passage_whole_whatever_the_script(embedder: MiniLM, kind: str):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(embedder.folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    longest = max(len(one.ids) for one in tokenizer.encode_batch(list(passages(UNSPACED[kind]))))
    assert longest <= embedder.pieces


@given(st.integers(0, 300), st.integers(1, 40))
def test_a_spread_is_bounded_in_order_and_reaches_both_ends(count: int, most: int):
    places = [str(place) for place in range(count)]
    chosen = spread(places, most)
    assert len(chosen) == min(count, most) and list(chosen) == sorted(set(chosen), key=int)
    if chosen:
        assert chosen[0] == "0" and (most == 1 or chosen[-1] == places[-1])
