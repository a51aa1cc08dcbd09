"""BibTeX as people have it: BibDesk, BibSonomy, Mendeley, by hand. Every entry is read, or counted as not read.

bibtexparser does the syntax and pylatexenc the accents and signs. What the parser refuses, or reads into one field with
the next, is read once more by hand: doubled and forgotten commas, comments between fields, quotes in quotes, values
that a cut-off file never closed.
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from move37.memory.errors import UnknownFormat
from move37.memory.layout import ARXIV, PERSON
from move37.memory.records import Entry

NO_ENTRIES = ("comment", "string", "preamble", "set")
_START = re.compile(r"^[ \t]*@[ \t]*(\w+(?:[ \t]\w+)?)[ \t]*([{(])", re.MULTILINE)
_PARTED = re.compile(r"^([ \t]*@)[ \t]*(\w+)\s*(?=[{(])", re.MULTILINE)  # the sign, a kind and its brace
_TEX = re.compile(r"[\\{}~$]|``|''|--")
_FIELD = re.compile(r",\s*[\w.:+-]+\s*=")
_KEY = re.compile(r"[ \t]*([^\s,={}\"%]+(?:[ \t]+[^\s,={}\"%]+)*)?[ \t]*(?=[,}\n%]|$)")
_NAME = re.compile(r"(?<![\w.:+-])([A-Za-z][\w.+-]*(?::[\w.+-]+)*)\s*(?:=|:(?=\s*[{\"\d]))\s*")
_CALLED = re.compile(r"[\w.:+-]+")
_LINE = re.compile(r"[^%\n]*")
_BETWEEN = re.compile(r"(?:[\s,;]|%[^\n]*)*")  # two fields: commas, as many as there are, and comments
# A number, a string's name, words without any marks, up to the next field.
_BARE = re.compile(r"[^\s,;{}\"#%]++(?:[^\S\n]++(?![\w.:+-]+\s*=)[^\s,;{}\"#%]++)*")
_MARK = re.compile(r"\\.|[\"{}]", re.DOTALL)  # what a backslash escapes is none
_HASH = re.compile(r"(?<!\s)\s*#\s*")
_QUOTES = "'`\u2018\u2019\u201c\u201d"
_LINK = re.compile(r"\\href\s*\{[^{}]*\}")
# Macros whose argument, or whose own name, is the text; others that the parser does not know it leaves out.
_SHAPE = re.compile(
    r"\\(?:text\w+|emph|mbox|hbox|uppercase|lowercase|MakeUppercase|MakeLowercase|underline|protect)\s*\{"
)
_NAMES = re.compile(r"\\((?:La|Bib|Lua|Xe|pdf)?TeX|LaTeXe|METAFONT)\b(?:\s*\{\})?")
_SIGN = re.compile(r"(?<!\\)((?:\\\\)*)(%|\\[{}])")  # a sign of the text: only TeX's own files have comments
_STAND_INS = {"%": "\ufdd0", "{": "\ufdd1", "}": "\ufdd2"}  # for them in the parser; no letters of any text
_MADE = {ord(made): sign for sign, made in _STAND_INS.items()}
_BRACE = re.compile(r"(\$[^$]+\$|\\\(.*?\\\))|[{}]")  # outside of a formula, which is skipped
_TAG = re.compile(r"</?(?:i|b|em|strong|sub|sup|span|scp|jats:\w+|p)(?:\s[^<>]*)?>", re.IGNORECASE)


def entries(key: str, text: str, name: str) -> tuple[tuple[Entry, ...], str]:
    """(one insight for each entry with a title, a sentence about those that gave none or "").

    Raises:
        UnknownFormat: none did.
    """
    out: list[Entry] = []
    text = _PARTED.sub(r"\1\2", text)
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
    strings: dict[str, str] = {}
    for string in library.strings:  # one may be made of those before it
        strings[string.key.lower()] = _said(str(string.value), strings)
    blocks = [*library.entries, *library.failed_blocks]
    for block in sorted(blocks, key=lambda block: block.start_line or 0):
        line = block.start_line or 0
        whole = getattr(block, "ignore_error_block", block)  # a key or a field that stands twice
        key, fields = getattr(whole, "key", ""), [(one.key, str(one.value)) for one in getattr(whole, "fields", ())]
        sound = all(_CALLED.fullmatch(name) and _end(value, 0) == len(value) for name, value in fields)
        if not sound or not hasattr(whole, "fields") or not _LINE.fullmatch(key):
            key, fields = _by_hand(spans.get(line, "")) or (key, fields)
        said: dict[str, str] = {}
        for name, value in fields:  # the first of two of a name holds
            said.setdefault(name.lower(), _said(value, strings))
        if fields:
            yield line, key, said


def _spans(text: str) -> dict[int, str]:
    """Line from 0 -> what stands from an entry's @ to the next one's: a refused block keeps only its beginning."""
    marks = [found.start() for found in _START.finditer(text)]
    out: dict[int, str] = {}
    line, before = 0, 0
    for start, end in pairwise([*marks, len(text)]):
        line += text.count("\n", before, start)
        out[line], before = text[start:end], start
    return out


def _kind(raw: str) -> str:
    found = _START.match(raw)
    return found[1].lower() if found else ""


def _library(text: str) -> Any:
    import bibtexparser

    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)  # what it leaves out is counted here
    return bibtexparser.parse_string(text, parse_stack=[])  # values with their marks: those say what they are


def _by_hand(raw: str) -> tuple[str, list[tuple[str, str]]] | None:
    """(key, fields) of an entry whose commas, comments or quotes are not where the parser wants them; None where a
    brace that nobody closed would swallow one field into another."""
    begun = _START.match(raw)
    if begun is None:
        return None
    closing = "}" if begun[2] == "{" else ")"
    called = _KEY.match(raw, begun.end())
    key, at = (called[1] or "", called.end()) if called else ("", begun.end())
    fields: list[tuple[str, str]] = []
    while (at := _next(raw, at)) < len(raw) and raw[at] != closing:
        named = _NAME.match(raw, at)
        start = named.end() if named else at
        at = _end(raw, start)
        if at < 0 and _FIELD.search(raw, start):
            return None
        at = len(raw) if at < 0 else max(at, start + 1)
        if named:
            fields.append((named[1], raw[start:at]))
    swallowed = at >= len(raw) and fields and _FIELD.search(fields[-1][1])  # with the entry's own brace
    return None if swallowed else (key, fields)


def _next(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    return found.end() if found else at


def _end(text: str, at: int) -> int:
    """Where a value that begins here ends: pieces in braces, in quotes or bare, joined by #. -1: it does not."""
    while True:
        if text[at : at + 1] in ("{", '"'):
            at = _closed(text, at)
        elif bare := _BARE.match(text, at):
            at = bare.end()
        joined = _HASH.match(text, at) if at >= 0 else None
        if joined is None:
            return at
        at = joined.end()


def _closed(text: str, at: int) -> int:
    """Behind the brace or the quote that closes the one here; -1 without one. A quote in braces closes nothing."""
    depth, quoted = 0, text[at] == '"'
    for mark in _MARK.finditer(text, at + quoted):
        depth += {"{": 1, "}": -1}.get(mark[0], 0)
        if depth <= 0 and mark[0] == ('"' if quoted else "}"):
            return mark.end()
    return -1


def _said(value: str, strings: Mapping[str, str]) -> str:
    """A value's text: its pieces without their marks, the names of strings replaced."""
    out, at = [], 0
    while at < len(value):
        end = _closed(value, at) if value[at] in '{"' else -1
        if value[at] in '{"':
            out.append(value[at + 1 : end - 1] if end > 0 else value[at + 1 :])
        elif bare := _BARE.match(value, at):
            word, end = bare[0].strip(), bare.end()
            quoted = len(word) > 1 and word[0] in _QUOTES and word[-1] in _QUOTES
            out.append(word[1:-1] if quoted else strings.get(word.lower(), word))
        at = max(end, at + 1) if end > 0 else len(value)
        joined = _HASH.match(value, at)
        at = joined.end() if joined else at
    return "".join(out)


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
        source=f"{name}#{cite}" if cite else name,
    )


def _plain(value: str) -> str:
    """TeX's accents and signs and HTML's tags as letters, braces gone, one line; formulas stay as they are."""
    value = _TAG.sub("", html.unescape(value))
    if not _TEX.search(value):
        return " ".join(value.split())
    from pylatexenc.latex2text import LatexNodes2Text

    value = _NAMES.sub(lambda found: f"{{{found[1]}}}", _SHAPE.sub("{", _LINK.sub("", value)))
    value = _SIGN.sub(lambda found: found[1] + _STAND_INS[found[2][-1]], value.translate(dict.fromkeys(_MADE)))
    try:
        text = LatexNodes2Text(math_mode="verbatim", keep_braced_groups=False).latex_to_text(value)
    except Exception:  # a parser's own errors are many, and a title in braces is still a title
        text = value
    text = _BRACE.sub(lambda found: found[1] or "", text).replace("``", "\u201c").replace("''", "\u201d")
    return " ".join(text.translate(_MADE).split())
