"""The three shapes that everything about an experiment takes: labelled facts, a table, a text. No foreign text is clean
yet: whoever draws a shape passes its words through `app/text.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "good", "bad", "quiet", "strong"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a table."""

    text: str
    tone: Tone = ""
    detail: str = ""  # a longer text that belongs to it, e.g. a traceback


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column; numbers stand to the right."""

    name: str
    numeric: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns and rows."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    stacks: bool = False  # too wide for a phone: there each row stands as a card of labelled values


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part of a page; what is empty is not drawn."""

    title: str
    pairs: tuple[tuple[str, str], ...] = ()  # label and text
    table: Table | None = None
    text: str = ""
    tone: Tone = ""

    def __bool__(self) -> bool:
        return bool(self.pairs or self.text or (self.table is not None and self.table.rows))


def section(title: str, *pairs: tuple[str, str]) -> Section:
    """Labelled facts, without those that say nothing."""
    return Section(title=title, pairs=tuple((label, text) for label, text in pairs if text.strip()))
