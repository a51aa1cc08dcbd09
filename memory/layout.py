"""The cognition JSON layout: insights as objects with five named texts, read however deep they lie (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from move37.memory.errors import UnknownFormat
from move37.memory.papers import arxiv_year
from move37.memory.records import Entry

PERSON = "person"
ARXIV = re.compile(r"(?:(?<![\d.])|(?<=[xX][iI][vV]\.))(\d{4}\.\d{4,5})(?!\d)")  # 10.48550/arXiv.2312.00752 is a DOI
_TITLE = re.compile(r"^[^\w\n]*Title\W*?:\W*\s(.+)$", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(r"^#{1,6}\s*(?:DESIGN_INSIGHT[_A-Z0-9]*\s*:?\s*)?(.*)$", re.MULTILINE)
_ENDS_IN_COLON = re.compile(r":[^\w:]*$")
_BULLET = re.compile(r"^(?:[-*•]|\d{1,2}[.)])\s+")


def _text(value: Any) -> str:
    """Whatever a JSON file holds where a text should be."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(f"{key}:{_apart(item)}{_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "\n".join(_text(item) if isinstance(item, dict | list) else f"- {_text(item)}" for item in value)
    return str(value)


def _apart(value: Any) -> str:
    """What stands between a name and its value: a list or an object begins its own lines."""
    return "\n" if isinstance(value, dict | list) else " "


Text = Annotated[str, BeforeValidator(_text)]


class CognitionItem(BaseModel):
    """One object of the cognition JSON layout; any key may be missing, unknown ones are ignored."""

    model_config = ConfigDict(extra="ignore")
    DESIGN_INSIGHT: Text = ""
    EXPERIMENTAL_TRIGGER_PATTERNS: Text = ""
    BACKGROUND: Text = ""
    ALGORITHMIC_INNOVATION: Text = ""
    IMPLEMENTATION_GUIDANCE: Text = ""


def insights(key: str, text: str, name: str) -> tuple[Entry, ...]:
    """The entries of a file's text; `name` stands in the errors.

    Raises:
        UnknownFormat: no JSON, or none of the five texts in it.
    """
    try:
        raw = json.loads(text)
        parsed = [CognitionItem.model_validate(item) for item in _items(raw)]
    except (ValueError, ValidationError, RecursionError) as error:
        raise UnknownFormat(f"{name} is no JSON list of insights: {str(error).splitlines()[0]}.") from error
    entries = tuple(
        _entry(key, number, item, name) for number, item in enumerate(parsed) if any(item.model_dump().values())
    )
    if not entries:
        raise UnknownFormat(f"{name} holds none of {', '.join(CognitionItem.model_fields)}.")
    return entries


def _items(raw: Any) -> Iterator[dict[str, Any]]:
    """The insights of a file, however deep in lists or under other names; an object whose keys carry numbers
    (DESIGN_INSIGHT, DESIGN_INSIGHT_2) is several insights of one paper."""
    if not isinstance(raw, dict):
        for inner in raw if isinstance(raw, list) else ():
            yield from _items(inner)
        return
    parts: dict[int, dict[str, Any]] = {}
    for name, value in raw.items():
        found = re.fullmatch(r"([A-Z_]+?)(?:_(\d+))?", str(name))
        if found and found[1] in CognitionItem.model_fields:
            parts.setdefault(int(found[2] or 1), {})[found[1]] = value
    if parts:
        yield from (parts[number] for number in sorted(parts))
    else:
        yield from _items(list(raw.values()))


def _entry(key: str, number: int, item: CognitionItem, name: str) -> Entry:
    titled = _TITLE.search(item.BACKGROUND)
    headed = _NAME.search(item.DESIGN_INSIGHT)
    called = _bare(headed[1]).strip("[]") if headed else ""
    ids = ARXIV.search(key)
    return Entry(
        key=key,
        number=number,
        origin=PERSON,
        title=_bare(titled[1]) if titled else called or key,
        name=called,
        arxiv=ids[1] if ids else "",
        year=arxiv_year(ids[1]) if ids else 0,
        insight=_bare(_NAME.sub("", item.DESIGN_INSIGHT, count=1) if headed else item.DESIGN_INSIGHT),
        symptoms=tuple(_bare(line) for line in _statements(item.EXPERIMENTAL_TRIGGER_PATTERNS)),
        mechanism=_bare(item.ALGORITHMIC_INNOVATION),
        remedy=_bare(item.IMPLEMENTATION_GUIDANCE),
        background=_bare(item.BACKGROUND),
        source=name,
    )


def _statements(text: str) -> list[str]:
    """Each bullet, and the sentences of other lines; a heading (it ends in a colon) is none."""
    out: list[str] = []
    for line in (line.strip() for line in text.splitlines()):
        if bullet := _BULLET.match(line):
            out.append(line[bullet.end() :])
        elif line and not _ENDS_IN_COLON.search(line):
            out += re.split(r"(?<=[.;])\s+(?=[A-Z])", line)
    return [part for part in out if part.strip()]


def _bare(text: str) -> str:
    """Markdown's emphasis taken off, runs of blank lines closed."""
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"\*\*|__|`{1,3}|^#{1,6}\s*", "", text, flags=re.MULTILINE)).strip()
