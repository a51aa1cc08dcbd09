"""Source code as HTML: coloured, or as a difference against a parent. Every character is escaped. Pure."""

from __future__ import annotations

import difflib
import html
import io
import keyword
import tokenize

from move37.app.text import bare

LONGEST = 60_000  # characters that are coloured; longer files stand there plain


def highlighted(source: str) -> str:
    """Python in spans of the classes k (keyword), s (string), c (comment), m (number), f (a name being defined)."""
    text = bare(source)
    if len(text) > LONGEST:
        return html.escape(text)
    try:
        return _coloured(text)
    except (tokenize.TokenError, SyntaxError, IndexError):
        return html.escape(text)


def _coloured(text: str) -> str:
    lines = text.splitlines(keepends=True)
    out: list[str] = []
    row, column, before = 1, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.ENDMARKER:
            break
        out.append(html.escape(_between(lines, (row, column), token.start)))
        word = html.escape(_between(lines, token.start, token.end))
        kind = _kind(token, before)
        out.append(f'<span class="{kind}">{word}</span>' if kind else word)
        row, column = token.end
        if token.string.strip():
            before = token.string
    out.append(html.escape(_between(lines, (row, column), (len(lines) + 1, 0))))
    return "".join(out)


def _kind(token: tokenize.TokenInfo, before: str) -> str:
    if token.type == tokenize.NAME:
        if before in ("def", "class"):
            return "f"
        return "k" if keyword.iskeyword(token.string) else ""
    return {tokenize.STRING: "s", tokenize.COMMENT: "c", tokenize.NUMBER: "m"}.get(token.type, "")


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    (row, column), (last, stop) = start, end
    if row > len(lines):
        return ""
    if row == last:
        return lines[row - 1][column:stop]
    middle = "".join(lines[row : last - 1])
    return lines[row - 1][column:] + middle + (lines[last - 1][:stop] if last <= len(lines) else "")


def difference(old: str, new: str, name: str) -> str:
    """A unified difference in spans of the classes plus, minus and at; empty when nothing differs."""
    found = difflib.unified_diff(
        bare(old)[:LONGEST].splitlines(), bare(new)[:LONGEST].splitlines(), name, "this", lineterm="", n=3
    )
    out = []
    for line in found:
        kind = {"+": "plus", "-": "minus", "@": "at"}.get(line[:1], "")
        word = html.escape(line)
        out.append(f'<span class="{kind}">{word}</span>' if kind else word)
    return "\n".join(out)
