"""Everything as JSON Lines, and back: one item a line, without vectors (they are made again from the texts)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from move37.memory.errors import InvalidPaper
from move37.memory.library import KINDS, Library
from move37.memory.records import Entry, Lesson
from move37.memory.store import Where


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["cognition", "analysis"]
    item: dict[str, Any]


_ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field()])
_LESSON: TypeAdapter[Lesson] = TypeAdapter(Annotated[Lesson, Field()])


def lines(library: Library, *, builtin: bool = False) -> Iterator[str]:
    """One line an item; the built-in base only when asked for, as every installation has it."""
    for name, kind in KINDS.items():
        where = None if builtin or kind == "analysis" else Where(none_of={"origin": ("builtin",)})
        for found in library.all(name, where):
            yield json.dumps({"kind": kind, "item": asdict(found.item)}, ensure_ascii=False)


def read_lines(path: Path) -> tuple[list[Entry], list[Lesson]]:
    """An export back as records.

    Raises:
        InvalidPaper: a line is not what `lines` writes; the message names it.
    """
    entries: list[Entry] = []
    lessons: list[Lesson] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            parsed = _Line.model_validate_json(line)
            if parsed.kind == "cognition":
                entries.append(_ENTRY.validate_python(parsed.item))
            else:
                lessons.append(_LESSON.validate_python(parsed.item))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidPaper(f"{path.name}, line {number}: {where}: {first['msg']}.") from error
    return entries, lessons
