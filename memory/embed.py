"""Text to vectors: any sentence-transformers model, with a fast start for the default.

`open_embedder` gives the embedder of a setting. The default, all-MiniLM-L6-v2, is carried by a package, so nothing is
downloaded: a question is computed with numpy (`minilm.py`: 14 ms, where importing the library takes 5 s), and large
batches, or any when the library is loaded already, go through the library (`transformer.py`). Both give the same
vectors: tests/memory/test_embed.py. `passages` cuts a text to pieces that the model reads whole (it reads 256 word
pieces and was trained on 128).
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from move37.memory.embedder_protocol import DEFAULT, Embedder
from move37.memory.minilm import MiniLM
from move37.memory.transformer import Transformer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

PASSAGE_WORDS = 70  # about 100 word pieces
LARGE = 120_000  # characters from which the library, import and all, is done sooner: 5 s + 21,500/s against 11,400/s
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")


def open_embedder(model: str | None = None) -> Embedder:
    """The embedder of a model's name or folder; the default's weights are found when they are first needed.

    Raises:
        BackendMissing: now or at the first use, when a package or the weights are missing.
    """
    return Default() if model in (None, "", DEFAULT) else Transformer(str(model))


class Default:
    """all-MiniLM-L6-v2, each batch by whichever way is sooner done."""

    def __init__(self) -> None:
        self._fast = MiniLM()
        self._library = Transformer(DEFAULT, folder=self._fast.folder)
        self.name = DEFAULT
        self.dimension = self._fast.dimension

    @property
    def digest(self) -> str:
        """Of the weights."""
        return self._fast.digest

    def embed(self, texts: Sequence[str]) -> Floats:
        """[len(texts), dimension], each of length 1."""
        loaded = "sentence_transformers" in sys.modules
        large = sum(len(text) for text in texts) >= LARGE
        return (self._library if (loaded and len(texts) > 1) or large else self._fast).embed(texts)


def digest(text: str) -> str:
    """Names a text, wherever its vector is kept."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def passages(text: str, *, words: int = PASSAGE_WORDS) -> tuple[str, ...]:
    """Sentences gathered into passages of at most about `words` words; no word is lost."""
    out: list[list[str]] = []
    for sentence in _SENTENCE.split(text):
        parts = sentence.split()
        for start in range(0, len(parts), words):
            piece = parts[start : start + words]
            if out and len(out[-1]) + len(piece) <= words:
                out[-1] = out[-1] + piece
            else:
                out.append(piece)
    return tuple(" ".join(piece) for piece in out)
