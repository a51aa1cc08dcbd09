"""What the search knows about one operator in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorWords:
    """One operator."""

    phrase: str  # what it is, as part of a sentence
    why: str  # why it may help
    risk: str
    words: str  # regular expression of what people call it
    probe: str = "bits_per_byte"
