"""BibTeX as people have it: BibDesk, BibSonomy, Mendeley, by hand. Every entry is read, or counted as not read.

bibtexparser does the syntax and pylatexenc the accents and signs. What the parser refuses, or reads into one field with
the next, is tried once more after repairs that change no text: doubled and forgotten commas, comments between fields,
braces that a cut-off file never closed.
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from move37.memory.errors import UnknownFormat
from move37.memory.layout import ARXIV, PERSON
from move37.memory.records import Entry

NO_ENTRIES = ("comment", "string", "preamble", "set")
_START = re.compile(r"^[ \t]*@[ \t]*(\w+(?:[ \t]\w+)?)[ \t]*[{(]", re.MULTILINE)
_PARTED = re.compile(r"^([ \t]*@[ \t]*\w+)\s+(?=[{(])", re.MULTILINE)  # a kind and its brace
_COMMAS = re.compile(r",(?:\s*,)+")
_FIELD = re.compile(r",\s*[\w.:+-]+\s*=")
_TEX = re.compile(r"[\\{}~$]")
_COMMENT = re.compile(r"(^|,)[ \t]*%[^\n]*$", re.MULTILINE)
_NO_COMMA = re.compile(r"([}\"])([ \t]*\n\s*[\w.:+-]+\s*=\s*[{\"\d])")
_NO_KEY = re.compile(r"^([ \t]*@[ \t]*\w+[ \t]*[{(])(\s*[\w.:+-]+\s*=)")
_KEY_AND_NO_COMMA = re.compile(r"^([ \t]*@[ \t]*\w+[ \t]*[{(][ \t]*[^\s,={}]+)([ \t]*\n\s*[\w.:+-]+\s*=)")
_SWALLOWED = re.compile(r"[}\"][ \t]*\n\s*[\w.:+-]+\s*=\s*[{\"]")
_PIECE = re.compile(r"\"[^\"]*\"|\{[^{}]*\}|[^\s#\"{}]+")
_JOINED = re.compile(rf"(?<![^\s#\"{{}}])(?:{_PIECE.pattern})(?:\s*#\s*(?:{_PIECE.pattern}))+")  # begins with a word
_LINK = re.compile(r"\\href\s*\{[^{}]*\}")
# Macros whose argument, or whose own name, is the text; others that the parser does not know it leaves out.
_SHAPE = re.compile(
    r"\\(?:text\w+|emph|mbox|hbox|uppercase|lowercase|MakeUppercase|MakeLowercase|underline|protect)\s*\{"
)
_NAMES = re.compile(r"\\((?:La|Bib|Lua|Xe|pdf)?TeX|LaTeXe|METAFONT)\b(?:\s*\{\})?")
_PERCENT = re.compile(r"(?<!\\)((?:\\\\)*)%")  # a sign of the text: only TeX's own files have comments
_STAND_IN = "\ufdd0"  # for it in the parser, which takes it for a comment; no letter of any text
_TAG = re.compile(r"</?(?:i|b|em|strong|sub|sup|span|scp|jats:\w+|p)(?:\s[^<>]*)?>", re.IGNORECASE)


def entries(key: str, text: str, name: str) -> tuple[tuple[Entry, ...], str]:
    """(one insight for each entry with a title, a sentence about those that gave none or "").

    Raises:
        UnknownFormat: none did.
    """
    out: list[Entry] = []
    text = _PARTED.sub(r"\1", text)
    begun = {line for line, raw in _spans(text).items() if _kind(raw) not in NO_ENTRIES}
    found = list(_parsed(text))
    years = {cite.lower(): _year(fields) for _, cite, fields in found}
    for line, cite, fields in found:
        title = _plain(fields.get("title", ""))
        if title:
            out.append(_entry(key, len(out), cite, title, fields, name, years))
            begun.discard(line)
        else:
            begun.add(line)
    if not out:
        raise UnknownFormat(f"{name} has no BibTeX entry with a title.")
    lost = f"{len(out)} of {len(out) + len(begun)} entries read; the others have no title or are damaged"
    return tuple(out), lost if begun else ""


def _parsed(text: str) -> Iterator[tuple[int, str, Mapping[str, str]]]:
    """(line, key, fields) of each entry, in the file's order as far as the parser keeps it."""
    library, spans = _library(text), _spans(text)
    strings = {string.key.lower(): _joined(str(string.value), {}) for string in library.strings}
    blocks = [*library.entries, *library.failed_blocks]
    for block in sorted(blocks, key=lambda block: block.start_line or 0):
        line = block.start_line or 0
        whole = getattr(block, "ignore_error_block", block)  # a key or a field that stands twice
        read = [whole] if hasattr(whole, "fields") else []
        if not read or any(_SWALLOWED.search(str(field.value)) for field in read[0].fields):
            repaired = _repaired(spans.get(line, ""))
            read = (_library(repaired).entries if repaired is not None else []) or read
        for entry in read:
            yield (line, *_named(entry, strings))


def _spans(text: str) -> dict[int, str]:
    """Line from 0 -> what stands from an entry's @ to the next one's: a refused block keeps only its beginning."""
    marks = [found.start() for found in _START.finditer(text)]
    ends = [*marks, len(text)][1:]
    return {text.count("\n", 0, start): text[start:end] for start, end in zip(marks, ends, strict=True)}


def _kind(raw: str) -> str:
    found = _START.match(raw)
    return found[1].lower() if found else ""


def _library(text: str) -> Any:
    import bibtexparser

    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)  # what it leaves out is counted here
    return bibtexparser.parse_string(text)


def _named(entry: Any, strings: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    fields: dict[str, str] = {}
    for field in entry.fields:  # the first of two of a name holds
        fields.setdefault(field.key.lower(), _joined(str(field.value), strings))
    return entry.key, fields


def _joined(value: str, strings: Mapping[str, str]) -> str:
    """Pieces that a # joins, each a string or the name of one."""
    if not _JOINED.fullmatch(value.strip()):
        return value
    pieces = [found[0] for found in _PIECE.finditer(value)]
    return "".join(piece[1:-1] if piece[0] in '"{' else strings.get(piece.lower(), piece) for piece in pieces)


def _repaired(raw: str) -> str | None:
    """Commas once, comments out, braces closed; None where that would swallow one field into another."""
    single = _COMMAS.sub(",", _COMMENT.sub(r"\1", raw))
    single = _NO_COMMA.sub(r"\1,\2", single)
    single = _NO_KEY.sub(r"\1,\2", single)
    single = _KEY_AND_NO_COMMA.sub(r"\1,\2", single)
    open_braces = single.count("{") - single.count("}")
    if open_braces > 0:
        cut = single.rfind("{")
        if _FIELD.search(single, cut):
            return None
        single = single.rstrip() + "}" * open_braces
    return single if single != raw else None


def _year(fields: Mapping[str, str]) -> int:
    found = re.search(r"\d{4}", fields.get("year", fields.get("date", "")))
    return int(found[0]) if found else 0


def _arxiv(fields: Mapping[str, str]) -> str:
    """An id where one is expected, or behind the word where anything may stand."""
    said = [fields.get(part, "") for part in ("eprint", "journal", "url")]
    for part in ("doi", "howpublished", "note"):
        said.append("".join(fields.get(part, "").lower().partition("arxiv")[1:]))
    found = ARXIV.search(" ".join(said))
    return found[1] if found else ""


def _entry(
    key: str, number: int, cite: str, title: str, fields: Mapping[str, str], name: str, years: Mapping[str, int]
) -> Entry:
    """`years`: of every entry, since a child of another one (crossref) has its year there."""
    said = [_plain(fields.get(part, "")) for part in ("keywords", "note", "author")]
    return Entry(
        key=key,
        number=number,
        origin=PERSON,
        title=title,
        name=cite,
        arxiv=_arxiv(fields),
        year=_year(fields) or years.get(fields.get("crossref", "").strip().lower(), 0),
        insight=_plain(fields.get("abstract", "")) or " ".join(part for part in said if part) or title,
        source=name,
    )


def _plain(value: str) -> str:
    """TeX's accents and signs and HTML's tags as letters, braces gone, one line; formulas stay as they are."""
    value = _TAG.sub("", html.unescape(value))
    if not _TEX.search(value):
        return " ".join(value.split())
    from pylatexenc.latex2text import LatexNodes2Text

    value = _NAMES.sub(lambda found: f"{{{found[1]}}}", _SHAPE.sub("{", _LINK.sub("", value)))
    value = _PERCENT.sub(rf"\1{_STAND_IN}", value.replace(_STAND_IN, ""))
    try:
        text = LatexNodes2Text(math_mode="verbatim", keep_braced_groups=False).latex_to_text(value)
    except Exception:  # a parser's own errors are many, and a title in braces is still a title
        text = value
    return " ".join(re.sub(r"[{}]", "", text).replace(_STAND_IN, "%").split())
