"""BibTeX as people have it: BibDesk, BibSonomy, Mendeley, by hand. Every entry is read, or counted as not read.

bibtexparser does the syntax and pylatexenc the accents and signs. What the parser refuses is tried once more after two
mends that change no text: doubled commas, and braces that a cut-off file never closed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from move37.memory.errors import UnknownFormat
from move37.memory.layout import ARXIV, PERSON
from move37.memory.records import Entry

NO_ENTRIES = ("comment", "string", "preamble")
_START = re.compile(r"^[ \t]*@[ \t]*(\w+)[ \t]*[{(]", re.MULTILINE)
_COMMAS = re.compile(r",(?:\s*,)+")
_FIELD = re.compile(r",\s*[\w.:+-]+\s*=")
_TEX = re.compile(r"[\\{}~$]")


def entries(key: str, text: str, name: str) -> tuple[tuple[Entry, ...], str]:
    """(one insight for each entry with a title, a sentence about those that gave none or "").

    Raises:
        UnknownFormat: none did.
    """
    there = sum(found[1].lower() not in NO_ENTRIES for found in _START.finditer(text))
    out: list[Entry] = []
    for cite, fields in _parsed(text):
        title = _plain(fields.get("title", ""))
        if title:
            out.append(_entry(key, len(out), cite, title, fields, name))
    if not out:
        raise UnknownFormat(f"{name} has no BibTeX entry with a title.")
    total = max(there, len(out))
    missing = f"{len(out)} of {total} entries read; the others have no title or are damaged" if len(out) < total else ""
    return tuple(out), missing


def _parsed(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """(key, fields) of each entry, in the file's order as far as the parser keeps it."""
    library, spans = _library(text), _spans(text)
    blocks = [*library.entries, *library.failed_blocks]
    for block in sorted(blocks, key=lambda block: block.start_line or 0):
        whole = getattr(block, "ignore_error_block", block)  # a key or a field that stands twice
        if hasattr(whole, "fields"):
            yield _named(whole)
        elif (mended := _mended(spans.get(block.start_line, ""))) is not None:
            yield from (_named(entry) for entry in _library(mended).entries)


def _spans(text: str) -> dict[int, str]:
    """Line from 0 -> what stands from an entry's @ to the next one's: a refused block keeps only its beginning."""
    marks = [found.start() for found in _START.finditer(text)]
    return {
        text.count("\n", 0, start): text[start:end] for start, end in zip(marks, [*marks[1:], len(text)], strict=True)
    }


def _library(text: str) -> Any:
    import bibtexparser

    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)  # what it leaves out is counted here
    return bibtexparser.parse_string(text)


def _named(entry: Any) -> tuple[str, Mapping[str, str]]:
    fields: dict[str, str] = {}
    for field in entry.fields:  # the first of two of a name holds
        fields.setdefault(field.key.lower(), str(field.value))
    return entry.key, fields


def _mended(raw: str) -> str | None:
    """Commas once, braces closed; None where that would swallow one field into another."""
    single = _COMMAS.sub(",", raw)
    open_braces = single.count("{") - single.count("}")
    if open_braces > 0:
        cut = single.rfind("{")
        if _FIELD.search(single, cut):
            return None
        single = single.rstrip() + "}" * open_braces
    return single if single != raw else None


def _entry(key: str, number: int, cite: str, title: str, fields: Mapping[str, str], name: str) -> Entry:
    said = [_plain(fields.get(part, "")) for part in ("keywords", "note", "author")]
    year = re.search(r"\d{4}", fields.get("year", fields.get("date", "")))
    ids = ARXIV.search(" ".join(fields.get(part, "") for part in ("eprint", "journal", "url", "doi")))
    return Entry(
        key=key,
        number=number,
        origin=PERSON,
        title=title,
        name=cite,
        arxiv=ids[1] if ids else "",
        year=int(year[0]) if year else 0,
        insight=_plain(fields.get("abstract", "")) or " ".join(part for part in said if part) or title,
        source=name,
    )


def _plain(value: str) -> str:
    """TeX's accents and signs as letters, braces gone, one line; formulas stay as they are."""
    if not _TEX.search(value):
        return " ".join(value.split())
    from pylatexenc.latex2text import LatexNodes2Text

    try:
        text = LatexNodes2Text(math_mode="verbatim", keep_braced_groups=False).latex_to_text(value)
    except Exception:  # a parser's own errors are many, and a title in braces is still a title
        text = value
    return " ".join(re.sub(r"[{}]", "", text).split())
