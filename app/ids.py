"""An experiment's id, however a person writes it: c1-003 is also C1-3, 1-003 and, in one campaign, 3. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"(?:c?0*(\d{1,6})-)?0*(\d{1,6})", re.IGNORECASE)
_NAMED = re.compile(r"c\d+-\S+", re.IGNORECASE)
_LIKE_ONE = re.compile(r"c?\d+(-[\w.-]+)?", re.IGNORECASE)


def is_id(word: str) -> bool:
    """Whether a person who types it means an experiment: "3", "1-3", "c1-003", "c2-gla"."""
    return bool(_NUMBERED.fullmatch(word) or _NAMED.fullmatch(word))


def looks_like_id(word: str) -> bool:
    """Whether a word that stands alone, where a command should, was meant as one: "1-gla" and "c3" too, which in a
    sentence ("1-bit weights") may be no id.
    """
    return bool(_LIKE_ONE.fullmatch(word))


def written_out(word: str, known: Sequence[str] = ()) -> str:
    """The id as the archive writes it; a number alone is the one of `known` that has it, else stays a number."""
    parts = _NUMBERED.fullmatch(word)
    if parts is None:
        return word.lower()
    number = f"{int(parts[2]):03d}"
    if parts[1]:
        return f"c{int(parts[1])}-{number}"
    return next((ident for ident in known if ident.rpartition("-")[2] == number), word)
