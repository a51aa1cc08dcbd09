"""Templates: HTML and Markdown in which foreign text is only text.

Both environments make every string harmless before it is written (`finalize`), and escape it: HTML by Jinja's
autoescape, Markdown by a backslash before what it would read. Only what passes `| safe` in a template is left alone:
style, scripts and Pygments' spans.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from move37.app.text import bare, one_line
from move37.app.views import words
from move37.app.views.code import highlighted, highlighted_difference
from move37.app.views.evidence import SQUARES, ladder_signs, rungs_shown
from move37.app.views.leaderboard import Group
from move37.lab.numbers import DigitScale
from move37.lab.summary import Summary

FOLDER = Path(__file__).parent / "templates"
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#!~])")


@cache
def html() -> Environment:
    """Pages and fragments."""
    made = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, finalize=_clean, undefined=StrictUndefined)
    return _with_words(made)


@cache
def markdown() -> Environment:
    """One line a value, in which nothing is read as Markdown or HTML."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=False,
        finalize=_plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return _with_words(made)


def _with_words(made: Environment) -> Environment:
    made.filters |= {"capfirst": lambda text: text[:1].upper() + text[1:], "spaced": words.words_of}
    made.globals |= {
        "seeds_text": words.seeds_text,
        "ladder_signs": ladder_signs,
        "rungs_shown": rungs_shown,
        "squares": SQUARES,
        "state_text": words.state_text,
        "value_text": words.value_text,
        "verdict_text": words.verdict_text,
        "highlighted": highlighted,
        "highlighted_difference": highlighted_difference,
        "group_others": _others,
        "other_text": _other_text,
    }
    return made


def _clean(value: object) -> object:
    if isinstance(value, Markup):
        return value
    if isinstance(value, Enum):
        value = value.value
    return bare(value) if isinstance(value, str) else value


def _plain(value: object) -> object:
    value = _clean(value)
    return _SPECIAL.sub(r"\\\1", one_line(value)) if isinstance(value, str) else value


def _others(group: Group) -> list[str]:
    return sorted({name for place in group.places for name in place.others})


def _other_text(summary: Summary | None) -> str:
    return words.value_text(summary, DigitScale.of([summary.mean] if summary else []))[0]


BY_SYSTEM = "@media (prefers-color-scheme: dark) { :root { DARK } }"  # dark where the reader's system is


def styles(dark_where: str = BY_SYSTEM) -> str:
    """The styles that report and page share; `dark_where` is the rule around the dark colours, with DARK for them."""
    light, dark = ((FOLDER / name).read_text(encoding="utf-8") for name in ("style.css", "dark.css"))
    return light + dark_where.replace("DARK", dark)
