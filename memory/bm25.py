"""Text to words: the half of retrieval that needs no model (pure).

`terms` splits, folds case, drops stop words, strips endings and adds pairs of neighbours; `document` and `question`
make the sparse vectors of BM25 out of them: term frequency with saturation and length normalisation here, inverse
document frequency in the engine, which knows the collection.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise

from move37.memory.store import Sparse

SATURATION = 1.2  # BM25's k1
LENGTH_WEIGHT = 0.75  # BM25's b
MEAN_LENGTH = 120.0  # terms; a constant, so that a stored vector stays right when the collection grows
PAIR_WEIGHT = 0.35  # of two neighbouring words against one word

_NAMED = r"[A-Z][A-Za-z]+(?:_[A-Za-z]{2,})+"
_LABEL = re.compile(
    rf"\*\*{_NAMED}(?:\*\*\s*:|:\s*\*\*)|^[^\S\n]*(?:[>#*-][^\S\n]*)*{_NAMED}[^\S\n]*:", re.MULTILINE
)  # **Some_Label**: anywhere, Some_Label: at the beginning of a line
_WORD = re.compile(r"[a-z]+(?:[0-9]+[a-z]*)*|[0-9]+(?:\.[0-9]+)?[a-z]*")
_SIGN = "\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff"  # kana and Chinese, which have no blanks: each is a word
_LETTER = rf"(?:(?![{_SIGN}])[^\W\d_])"
_ANY_WORD = re.compile(rf"[{_SIGN}]|{_LETTER}+(?:[0-9]+{_LETTER}*)*|[0-9]+(?:\.[0-9]+)?{_LETTER}*")  # of any script
_STOP = frozenset(
    """
    a an and are as at be been but by can could did do does for from had has have he her here his how i if in into
    is it its just may might more most must no not of on one only or other our out over own same she should so
    some such than that the their them then there these they this those through to too under until up very was we
    were what when where which while who why will with would you your also each both about after again all any
    because before being between during few further now off once per via using use used uses
    """.split()  # noqa: SIM905 (as a list it would be a page of quotes)
)
_ENDINGS = (
    ("ational", "ate"), ("fulness", "ful"), ("isation", "ize"), ("iveness", "ive"), ("ization", "ize"),
    ("ations", "ate"), ("ation", "ate"), ("ising", "ize"), ("ities", ""), ("ments", ""), ("edly", ""), ("ings", ""),
    ("ised", "ize"), ("ises", "ize"), ("ment", ""), ("ness", ""), ("ely", "e"), ("ers", ""), ("ies", "y"),
    ("ing", ""), ("ise", "ize"), ("ity", ""), ("ive", ""), ("ous", ""), ("ed", ""), ("er", ""), ("es", ""),
    ("ly", ""), ("s", ""),
)  # fmt: skip


def content(text: str) -> str:
    """The text without a layout's own labels: they stand in every text of it and say nothing about this one.

    >>> content("**Task_Signatures**:\\n- Loss spikes late")
    '- Loss spikes late'
    """
    return _LABEL.sub("", text).strip()


@lru_cache(maxsize=1 << 16)  # a language repeats its words: explaining a search took half of its time without
def stem(word: str) -> str:
    """A light stemmer: strips one ending when enough is left, then undoubles and drops a last e.

    >>> stem("gating"), stem("gated"), stem("gates"), stem("gate")
    ('gat', 'gat', 'gat', 'gat')
    """
    if len(word) <= 3 or any(sign.isdigit() for sign in word):
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    return word


def words(text: str) -> list[str]:
    """The stems in order, stop words left out."""
    return [stem(word) for word in _split(text) if _counts(word)]


def _split(text: str) -> list[str]:
    """Words of any script without case and accents, however these are composed."""
    if text.isascii():
        return _WORD.findall(text.lower())
    letters = (sign for sign in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(sign))
    return _ANY_WORD.findall("".join(letters).casefold())


def _counts(word: str) -> bool:
    return word not in _STOP and (len(word) > 1 or word.isdigit() or not word.isascii())


def terms(text: str) -> Counter[str]:
    """Words and pairs of neighbours, with their frequencies."""
    single = words(text)
    counts = Counter(single)
    counts.update(f"{first} {second}" for first, second in pairwise(single) if first != second)
    return counts


def term_id(term: str) -> int:
    """A stable number for a term (32 bits; two of 10,000 terms share one with probability .01)."""
    return zlib.crc32(term.encode())


def document(text: str) -> Sparse:
    """A text as it is stored: saturated frequencies, normalised by length."""
    counts = terms(text)
    length = sum(count for term, count in counts.items() if " " not in term)
    norm = SATURATION * (1.0 - LENGTH_WEIGHT + LENGTH_WEIGHT * length / MEAN_LENGTH)
    return _sparse({term: count * (SATURATION + 1.0) / (count + norm) for term, count in counts.items()})


def question(text: str) -> Sparse:
    """A text as it asks: each term once, repeated ones a little more, pairs less than words."""
    counts = terms(text)
    return _sparse(
        {term: (PAIR_WEIGHT if " " in term else 1.0) * min(count, 3) ** 0.5 for term, count in counts.items()}
    )


def _sparse(weights: dict[str, float]) -> Sparse:
    merged: dict[int, float] = {}
    for term, weight in weights.items():
        number = term_id(term)
        merged[number] = merged.get(number, 0.0) + weight
    pairs = sorted(merged.items())
    return Sparse(tuple(index for index, _ in pairs), tuple(value for _, value in pairs))


def spelled(asked: str) -> dict[str, str]:
    """Stem -> the word of a question, in its own spelling."""
    out: dict[str, str] = {}
    pattern = _WORD if asked.isascii() else _ANY_WORD
    for said in pattern.findall(unicodedata.normalize("NFC", asked.lower())):
        for word in _split(said):
            if word not in _STOP and (len(word) > 2 or not word.isascii()):
                out.setdefault(stem(word), said)
    return out


def shared(asked: Mapping[str, str], found: str, *, limit: int = 5) -> tuple[str, ...]:
    """Words of the question (`spelled`) that stand in the text, longest first, in the question's own spelling."""
    heads = {one[:3] for one in asked}  # a stem keeps its word's first three letters, so that few need be stemmed
    have = {stem(word) for word in set(_split(found)) if word[:3] in heads and _counts(word)}
    return tuple(sorted((asked[one] for one in asked.keys() & have), key=lambda word: (-len(word), word))[:limit])
