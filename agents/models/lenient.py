"""JSON as models write it, read into Python's data. Pure.

Read besides JSON: comments, keys without quotes, Python's quotes, prefixes, booleans and tuples, `Form(key=value)`,
curly quotes, backticks, full-width punctuation, pieces of a string side by side, commas too many or missing, raw lines.
With `names` (the keys that may occur), a quote inside a string is told from its end by what follows: another known key,
or the end. Not read: what is cut off, unless `complete` says that nothing is missing but the last brackets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

DEEPEST = 50  # containers in containers
_CLOSES = {'"': '"', "'": "'", "`": "`", "“": '”"', "‘": "’'"}
_SPACE = re.compile("(?:[\\s\u00a0\u200b-\u200d\u2060\ufeff]|//[^\n]*|#[^\n]*|/\\*.*?\\*/)*", re.S)
_STRING = re.compile("[rRbBuUfF]{0,2}(?=[\"'`“‘])")
_NUMBER = re.compile(r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])")
_WORD = re.compile(r"[+-]?[^\W\d][\w.-]*")
_KEY = re.compile(r"[\w$*-][\w $*.-]*")
_COLON = re.compile("=>|[:=：]")
_CALL = re.compile(r"[A-Za-z_]\w*\(")
_WORDS = {"true": True, "false": False, "null": None, "none": None, "undefined": None, "nan": None, "infinity": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", "\n": "", "0": "\0"}
_CODED = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})")


class _Unreadable(ValueError):
    """It is no such text."""


def strict(text: str) -> Any:
    """What `text` is as JSON, raw lines in strings allowed; None where it is none."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def read(text: str, start: int = 0, *, names: Collection[str] = (), complete: bool = False) -> tuple[Any, int] | None:
    """The value that begins at `start`, and where it ends; None when there is none."""
    reader = _Reader(text, start, names, complete)
    try:
        value = reader.value(0)
    except (_Unreadable, OverflowError):
        return None
    return value, reader.place


class _Reader:
    """One walk over the text."""

    def __init__(self, text: str, place: int, names: Collection[str], complete: bool) -> None:
        self.text, self.place, self.complete = text, place, complete
        self._follows: re.Pattern[str] | None = None
        self._last = 0
        if names:
            known = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
            self._follows = re.compile(
                rf"[\s}}\])]*(?:\Z|```|~~~|</|<\||[,，]?\s*(?:\{{\s*)?[\"'`“”]?(?:{known})[\"'`“”]?\s*[:=：])", re.I
            )
            # Whatever follows the last closing quote and brackets is no part of the value.
            self._last = max((m.start() for m in re.finditer("[\"'`”’]\\s*[\\])}]*\\s*[})]", text)), default=len(text))

    def value(self, depth: int, *, listed: bool = False) -> Any:
        """Whatever begins here."""
        if depth > DEEPEST:
            raise _Unreadable
        self._space()
        if (char := self._char()) in "{[(" and char:
            return self._object("{", depth) if char == "{" else self._list(char, depth)
        if _STRING.match(self.text, self.place):
            return self._strings(listed)
        if call := _CALL.match(self.text, self.place):
            self.place = call.end() - 1
            return self._object("(", depth)
        if number := _NUMBER.match(self.text, self.place):
            self.place = number.end()
            digits = number[0].replace("_", "")
            return int(digits) if re.fullmatch(r"[+-]?\d{1,300}", digits) else float(digits)
        word = _WORD.match(self.text, self.place)
        if word is None:
            raise _Unreadable
        self.place = word.end()
        if (known := word[0].lstrip("+-").lower()) in _WORDS:
            return _WORDS[known]
        if not re.match(r"\s*(?:[,，}\])]|$)", self.text[self.place : self.place + 40]):
            raise _Unreadable
        return word[0]

    def _object(self, opening: str, depth: int) -> dict[str, Any]:
        closing = {"{": "}", "(": ")"}[opening]
        found: dict[str, Any] = {}
        self.place += 1
        while True:
            self._space(",，;")
            if self._closed(closing):
                return found
            key = self._key()
            self._space()
            colon = _COLON.match(self.text, self.place)
            if colon is None:
                raise _Unreadable
            self.place = colon.end()
            found[key] = self.value(depth + 1)

    def _list(self, opening: str, depth: int) -> Any:
        closing, commas = {"[": "]", "(": ")"}[opening], 0
        found: list[Any] = []
        self.place += 1
        while True:
            before = self.place
            self._space(",，")
            commas += "," in self.text[before : self.place]
            if self._closed(closing):
                return found[0] if opening == "(" and len(found) == 1 and not commas else found
            found.append(self.value(depth + 1, listed=True))

    def _closed(self, closing: str) -> bool:
        if self._char() == closing:
            self.place += 1
            return True
        if not self._char():
            if self.complete:
                return True
            raise _Unreadable
        return False

    def _key(self) -> str:
        if _STRING.match(self.text, self.place):
            return str(self._string(key=True))
        word = _KEY.match(self.text, self.place)
        if word is None:
            raise _Unreadable
        self.place = word.end()
        return word[0].strip()

    def _strings(self, listed: bool) -> str:
        """A string, with the pieces that stand directly beside it."""
        found = self._string(listed=listed)
        while True:
            end = self.place
            self._space("+")
            beside = _STRING.match(self.text, self.place)
            if beside is None or (listed and "+" not in self.text[end : self.place] and not self._follows):
                self.place = end
                return found
            piece_at = self.place
            try:
                piece = self._string(listed=listed)
            except _Unreadable:
                self.place = end
                return found
            self._space()
            if _COLON.match(self.text, self.place):  # a key: the comma before it was forgotten
                self.place = end
                return found
            self.place = max(piece_at, self.place)
            found += piece

    def _string(self, *, key: bool = False, listed: bool = False) -> str:
        prefix = _STRING.match(self.text, self.place)
        if prefix is None:
            raise _Unreadable
        raw = "r" in prefix[0].lower()
        self.place = prefix.end()
        quote = self.text[self.place]
        if quote in "\"'" and self.text.startswith(quote * 3, self.place):
            return self._tripled(quote * 3, raw)
        self.place += 1
        start = self.place
        while char := self._char():
            self.place += 2 if char == "\\" and not raw else 1
            if char in _CLOSES[quote] and self._ends(key=key, listed=listed):
                return _meant(self.text[start : self.place - 1], raw)
        raise _Unreadable

    def _ends(self, *, key: bool, listed: bool) -> bool:
        """Whether the quote that was just passed ends its string."""
        if self._follows is None:
            return True
        if key:
            return re.match(r"\s*[:=：]", self.text[self.place : self.place + 20]) is not None
        if listed and re.match(r"\s*(?:,\s*[\"'`“\]]|\])", self.text[self.place : self.place + 80]):
            return True
        return self.place > self._last or self._follows.match(self.text, self.place) is not None

    def _tripled(self, quotes: str, raw: bool) -> str:
        self.place += 3
        end = self.text.find(quotes, self.place)
        while end > 0 and self.text[end - 1] == "\\":
            end = self.text.find(quotes, end + 1)
        if end < 0:
            raise _Unreadable
        inner, self.place = self.text[self.place : end], end + 3
        return _meant(inner, raw)

    def _space(self, also: str = "") -> None:
        while True:
            match = _SPACE.match(self.text, self.place)
            self.place = match.end() if match else self.place
            if not also or not self._char() or self._char() not in also:
                return
            self.place += 1

    def _char(self) -> str:
        return self.text[self.place : self.place + 1]


def _meant(inner: str, raw: bool) -> str:
    """What stands between two quotes; where its lines were not escaped, nothing else was but the quotes."""
    if raw:
        return inner
    return re.sub(r"\\([\"'`])", r"\1", inner) if "\n" in inner.strip() else unescaped(inner)


def unescaped(text: str) -> str:
    """`text` with the escapes of JSON and Python read."""
    parts, place = [], 0
    while (found := text.find("\\", place)) >= 0:
        escaped, length = _escape(text, found + 1)
        parts += [text[place:found], escaped]
        place = found + 1 + length
    return "".join([*parts, text[place:]])


def _escape(text: str, place: int) -> tuple[str, int]:
    """What the letters behind a backslash mean, and how many they are; a backslash of TeX stays one."""
    if coded := _CODED.match(text, place):
        number = int(next(group for group in coded.groups() if group), 16)
        if 0xD800 <= number < 0xDC00 and (low := re.match(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})", text[coded.end() :])):
            pair = 0x10000 + ((number - 0xD800) << 10) + int(low[1], 16) - 0xDC00
            return chr(pair), len(coded[0]) + 6
        return (chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"), len(coded[0])
    char = text[place : place + 1]
    if char in _ESCAPES and not (char == "0" and text[place + 1 : place + 2].isdigit()):
        return _ESCAPES[char], 1
    return (char if char and char in "\"'`“”‘’" else "\\" + char), 1
