"""A file from what a role answered: the whole text, or search/replace edits of the file that it was given. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from move37.agents.replies import LONGEST_FILE, Edit

_FENCE = re.compile(r"\A\s*```[\w+-]*\n(?P<inside>.*?)\n?```\s*\Z", re.DOTALL)
SHOWN = 200  # characters of a block that an error message quotes
MOST_TOLD = 8  # edits that an error message names


class EditRefused(Exception):
    """No file can be made of the answer; the message names the part and the reason, for its author."""


def written(source: str, edits: Sequence[Edit], base: str) -> str:
    """The new file. Raises `EditRefused` with one sentence a fault."""
    if len(source) > LONGEST_FILE or sum(len(e.search) + len(e.replace) for e in edits) > LONGEST_FILE:
        raise EditRefused(f"The answer is longer than {LONGEST_FILE} characters: write a smaller file, or use edits.")
    if edits:
        return _text(_edited(base, edits))
    found = _FENCE.match(source)
    text = found["inside"] if found else source
    if not text.strip():
        raise EditRefused("There is neither a file in `source` nor an edit in `edits`.")
    return _text(text if text.endswith("\n") else text + "\n")


def _text(file: str) -> str:
    """The file, where Python can read it. Raises `EditRefused`."""
    if len(file) > LONGEST_FILE:
        raise EditRefused(f"The file has {len(file)} characters, and may have {LONGEST_FILE}: make it smaller.")
    if (odd := next((sign for sign in file if sign == "\0" or "\ud800" <= sign <= "\udfff"), None)) is not None:
        line = file[: file.index(odd)].count("\n") + 1
        raise EditRefused(f"Line {line} holds {odd!r} itself, which no Python file can: write it as an escape.")
    return file


def _edited(base: str, edits: Sequence[Edit]) -> str:
    text, complaints = base, []
    for number, edit in enumerate(edits, start=1):
        count = text.count(edit.search) if edit.search else 0
        if count == 1:
            text = text.replace(edit.search, edit.replace, 1)
            continue
        why = "stands nowhere in the file" if not count else f"stands {count} times in the file: add lines around it"
        why = why if edit.search else "is empty: quote the lines that are to be replaced"
        complaints.append(f"Edit {number} was not applied: its `search` {why} ({edit.search[:SHOWN]!r}).")
    if complaints:
        more = [f"So it is with {len(complaints) - MOST_TOLD} more."] if len(complaints) > MOST_TOLD else []
        raise EditRefused(" ".join([*complaints[:MOST_TOLD], *more]))
    if text == base:
        raise EditRefused("The edits change nothing.")
    return text
