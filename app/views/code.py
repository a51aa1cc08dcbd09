"""Source code as HTML by Pygments, and as a difference against its ancestor. Every character is escaped. Pure."""

from __future__ import annotations

import difflib
from functools import lru_cache

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import DiffLexer, PythonLexer

from move37.app.text import bare

LONGEST = 60_000  # characters that are shown
_FORMATTER = HtmlFormatter(nowrap=True, classprefix="py-")


@lru_cache(maxsize=256)
def highlighted(source: str) -> str:
    """Python in spans of Pygments' classes, with the prefix py-."""
    return _html(source, PythonLexer(stripnl=False, ensurenl=False))


@lru_cache(maxsize=256)
def highlighted_difference(old: str, new: str, name: str) -> str:
    """`difference` in spans of Pygments' classes."""
    return _html(difference(old, new, name), DiffLexer(stripnl=False, ensurenl=False))


def difference(old: str, new: str, name: str) -> str:
    """A unified difference; empty when nothing differs."""
    before, after = (bare(text)[:LONGEST].splitlines() for text in (old, new))
    return "\n".join(difflib.unified_diff(before, after, name, "this", lineterm="", n=3))


def _html(text: str, lexer: Lexer) -> str:
    plain = bare(text)[:LONGEST]
    made = str(highlight(plain, lexer, _FORMATTER))
    return made if plain.endswith("\n") else made.removesuffix("\n")  # the formatter ends the last line
