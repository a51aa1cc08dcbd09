"""Everything as JSON Lines, and back: one item a line, without vectors (they are made again from the texts)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from move37.memory.decoding import decoded
from move37.memory.errors import InvalidPaper
from move37.memory.found import KINDS
from move37.memory.index import Index
from move37.memory.records import Entry, Lesson, MemoryKind, RecordedPrinciple
from move37.memory.schema import record_of
from move37.memory.store import Where


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: MemoryKind
    item: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a file holds, by kind."""

    entries: tuple[Entry, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    principles: tuple[RecordedPrinciple, ...] = ()


def lines(index: Index, *, builtin: bool = False) -> Iterator[str]:
    """One line an item; the built-in base only when asked for, as every installation has it."""
    for name, kind in KINDS.items():
        where = None if builtin or kind != "cognition" else Where(none_of={"origin": ("builtin",)})
        for found in index.all(name, where):
            yield json.dumps({"kind": kind, "item": asdict(found.item)}, ensure_ascii=False)


def read_lines(path: Path) -> Exported:
    """An export back as records, of this version or an older one.

    Raises:
        InvalidPaper: a line is not what `lines` writes; the message names it.
        Unreadable: it is no text.
    """
    found: dict[str, list[Any]] = {kind: [] for kind in KINDS.values()}
    names = {kind: name for name, kind in KINDS.items()}
    for number, line in enumerate(decoded(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            parsed = _Line.model_validate_json(line)
            found[parsed.kind].append(record_of(names[parsed.kind], parsed.item))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InvalidPaper(f"{path.name}, line {number}: {where}: {first['msg']}.") from error
        except (ValueError, TypeError, KeyError) as error:  # an older layout's fields, of another kind
            raise InvalidPaper(f"{path.name}, line {number}: {error}.") from error
    return Exported(
        entries=tuple(found["cognition"]), lessons=tuple(found["analysis"]), principles=tuple(found["principle"])
    )
