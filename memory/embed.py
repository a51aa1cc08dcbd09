"""Text to vectors: any sentence-transformers model, with a fast start for the default.

`open_embedder` gives the embedder of a setting. The default, all-MiniLM-L6-v2, is carried by a package, so nothing is
downloaded: a question is computed with numpy (`minilm.py`: 14 ms, where importing the library takes 5 s), and large
batches, or any when the library is loaded already, go through the library (`transformer.py`). Both give the same
vectors: tests/memory/test_embed.py. `passages` cuts a text to pieces that the model reads whole (it reads 256 word
pieces and was trained on 128; what is longer it drops without a word), whatever its script. `spread` bounds how many.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from move37.memory.embedder_protocol import DEFAULT, Embedder
from move37.memory.minilm import MiniLM
from move37.memory.transformer import Transformer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

PASSAGE_WORDS = 70  # about 100 word pieces
PASSAGE_PIECES = 200  # as `_pieces` counts, which is within the model's 256 by the model's own count
LONGEST_WORD = 90  # signs: the tokenizer reads no word of over 100 at all
_UNSPACED = 24  # signs from which a word is likely to be several
LARGE = 120_000  # characters from which the library, import and all, is done sooner: 5 s + 21,500/s against 11,400/s
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+|(?<=[\u3002\uff01\uff1f\uff1b])")  # the last four: Chinese, Japanese
_PART = re.compile(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]")  # what the tokenizer parts a word into, at the least


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
    """Sentences gathered into passages of at most about `words` words; no sign is lost. A word of no end (a script
    without blanks, a base64) is cut, and words of many signs (code, tables, formulas) make shorter passages."""
    out: list[list[str]] = []
    sizes: list[int] = []
    for sentence in sentences(text):
        for piece, size in _pages(words_of(sentence), words):
            if out and len(out[-1]) + len(piece) <= words and sizes[-1] + size <= PASSAGE_PIECES:
                out[-1] = out[-1] + piece
                sizes[-1] += size
            else:
                out.append(piece)
                sizes.append(size)
    return tuple(" ".join(piece) for piece in out)


def spread(pieces: Sequence[str], most: int) -> tuple[str, ...]:
    """At most `most` of a text's passages, evenly from its first to its last."""
    if len(pieces) <= most:
        return tuple(pieces)
    return tuple(pieces[place * (len(pieces) - 1) // max(most - 1, 1)] for place in range(most))


def sentences(text: str) -> list[str]:
    """The text cut behind each end of a sentence and of a line, in any script that ends them by a sign we know."""
    return _SENTENCE.split(text)


def words_of(text: str) -> list[str]:
    """The words in order; one that is longer than any tokenizer reads is cut."""
    words = ((word,) if len(word) <= LONGEST_WORD else _cut(word) for word in text.split())
    return [part for parts in words for part in parts]


def length(word: str) -> int:
    """In English words: a sentence without blanks counts for many."""
    return 1 if len(word) <= _UNSPACED else max(1, _pieces(word) // 2)


def _cut(word: str) -> Sequence[str]:
    return [word[start : start + LONGEST_WORD] for start in range(0, len(word), LONGEST_WORD)]


def _pages(parts: Sequence[str], words: int) -> Iterator[tuple[list[str], int]]:
    """Runs of at most `words` of them and at most PASSAGE_PIECES in size, each with its size."""
    run: list[str] = []
    total = 0
    for part in parts:
        size = _pieces(part)
        if run and (len(run) == words or total + size > PASSAGE_PIECES):
            yield run, total
            run, total = [], 0
        run.append(part)
        total += size
    if run:
        yield run, total


def _pieces(word: str) -> int:
    """About how many word pieces, rather too many: one a short word, one each sign of a string or a number."""
    if len(word) <= 8 and word.isalpha() and word.isascii():
        return 1
    return sum(map(_part, _PART.findall(word)))


def _part(part: str) -> int:
    if part.isalpha() and len(part) <= 16:
        return -(-len(part) // 4) if len(part) > 8 else 1
    return len(part)
