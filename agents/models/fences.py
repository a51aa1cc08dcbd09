"""A Python file, or edits of one, as they stand in a reply beside or inside its object. Pure."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from itertools import islice

from move37.agents.models.lenient import unescaped

MOST_FENCES = 10  # inside the strings of one file
_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})([^\n`]*)\n(.*?)^[ \t]*\2[ \t]*$", re.S | re.M)
_OPEN = re.compile(r"^([ \t]*)(`{3,}|~{3,})([^\n`]*)\n(.*)\Z", re.S | re.M)
_PYTHON = re.compile(r"(?:\{?\.?(?:python\d?|py|pytorch|torch)\b.*)?", re.I)
_TEXT = re.compile(r"md|markdown|te?xt|plaintext", re.I)  # which a whole reply may be wrapped as
_EDIT = re.compile(r"^<{5,9} ?SEARCH\s*?\n(.*?)^={5,9}\s*?\n(.*?)^>{5,9} ?REPLACE", re.S | re.M)
_DEFINES = re.compile(r"^(?:class|def|async def)\s", re.M)


def edits_in(text: str) -> list[dict[str, str]]:
    """Edits that are written as blocks of SEARCH and REPLACE."""
    return [{"search": search, "replace": replace} for search, replace in _EDIT.findall(_lines(text))]


def file_in(text: str, *, complete: bool) -> tuple[str, str] | None:
    """The one Python file in a reply, and the words around it: fenced, or the whole of it.

    Of several blocks it is the one that defines something where no other does. `complete`: the reply was not cut off.
    """
    text = _lines(text)
    blocks = list(_blocks(text))
    if not blocks and complete and (opened := _OPEN.search(text)):
        blocks = [(opened.span(), opened[3].strip(), opened[4])]
    python = [(span, textwrap.dedent(body)) for span, label, body in blocks if _PYTHON.fullmatch(label)]
    if len(python) > 1:
        python = [(span, body) for span, body in python if _DEFINES.search(body)]
    if len(python) == 1:
        (start, end), body = python[0]
        return body, (text[:start] + text[end:]).strip()
    if not blocks and complete and _DEFINES.search(text) and is_python(text):
        return text.strip() + "\n", ""
    inner = [found for _, label, body in blocks if _TEXT.fullmatch(label) and (found := file_in(body, complete=True))]
    return inner[0] if len(inner) == 1 and not python else None


def _blocks(text: str) -> Iterator[tuple[tuple[int, int], str, str]]:
    """Span, label and body of each fenced block; one of Python goes on behind a fence that is in one of its strings."""
    place = 0
    while found := _FENCE.search(text, place):
        (start, end), label, body = found.span(), found[3].strip(), found[4]
        if _PYTHON.fullmatch(label) and not is_python(textwrap.dedent(body)):
            for close in islice(re.finditer(rf"^[ \t]*{found[2]}[ \t]*$", text[end:], re.M), MOST_FENCES):
                longer = text[found.start(4) : end + close.start()]
                if is_python(textwrap.dedent(longer)):
                    end, body = end + close.end(), longer
                    break
        yield (start, end), label, body
        place = end


def plain_source(source: str) -> str:
    """A file without the fence, the words around it and the second escaping that it may have inside its string."""
    fence = _FENCE.fullmatch(_lines(source).strip())
    if fence:
        return fence[4]
    if is_python(source):
        return source
    if "\n" not in source and "\\n" in source and is_python(again := unescaped(source)):
        return again
    inner = file_in(source, complete=True)
    return inner[0] if inner is not None and is_python(inner[0]) else source


def is_python(text: str) -> bool:
    """Whether it can be parsed and says more than one name or string."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes
            body = ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return len(body) > 1 or (bool(body) and not isinstance(body[0], ast.Expr))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
