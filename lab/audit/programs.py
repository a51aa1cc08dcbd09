"""What is to be audited: a folder of Python files, one file, or an archive of records with `name` and `program`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from move37.lab.archive.codec import storable
from move37.lab.audit.imports import Folder
from move37.lab.errors import BadCandidate
from move37.lab.tasks.program_folder import decoded

SOURCES = ("program", "code", "source")  # of a record, as loops that write archives call it
LARGEST_ARCHIVE = 256 * 2**20  # bytes
LARGEST_PROGRAM = 2**20  # bytes of one Python file; longer ones are not read
MOST_PROGRAMS = 5_000
MOST_BESIDE = 500  # files beside a single one that are read, because it may import them
_TOO_LARGE = f"over {LARGEST_PROGRAM // 2**20} MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program as it was found."""

    name: str
    source: str | None  # None: it is no text
    reason: str = ""  # why not
    place: str = field(default="", compare=False)  # in `folder`
    folder: Folder = field(default_factory=Folder, compare=False)  # files that it may import


def read_programs(path: Path) -> tuple[Program, ...]:
    """All programs at `path`, in order. Raises `BadCandidate` in one line when there is nothing to audit."""
    if path.is_dir():
        files = sorted(f for f in path.rglob("*.py") if f.is_file() and not _hidden(f, path))
        if not files:
            raise BadCandidate(f"{path} holds no Python file: name a folder of programs, or an archive in JSON")
        _count(len(files), path)
        return _beside_each_other(path, files)
    if not path.is_file():
        raise BadCandidate(f"there is no {path}: name a folder of Python files, or an archive in JSON")
    if path.suffix == ".py":
        near = islice(chain(path.parent.glob("*.py"), path.parent.glob("*/*.py")), MOST_BESIDE)
        beside = [path, *sorted(f for f in near if f.is_file() and f != path)]
        return _beside_each_other(path.parent, beside)[:1]
    return _from_archive(path)


def _beside_each_other(root: Path, files: list[Path]) -> tuple[Program, ...]:
    """Each file as a program that knows the others, and packages' `__init__.py`, which are none themselves."""
    places = [f.relative_to(root).with_suffix("").as_posix() for f in files]
    found = [_from_file(f, storable(place)) for f, place in zip(files, places, strict=True)]
    texts = {place: p.source for place, p in zip(places, found, strict=True) if p.source is not None}
    for init in {f.parent / "__init__.py" for f in files} | {root / "__init__.py"}:
        if init.is_file() and (source := _from_file(init, "").source) is not None:
            texts[init.relative_to(root).with_suffix("").as_posix()] = source
    folder = Folder(name=root.resolve().name, files=texts)
    return tuple(replace(p, place=place, folder=folder) for p, place in zip(found, places, strict=True))


def _from_file(path: Path, name: str) -> Program:
    try:
        if path.stat().st_size > LARGEST_PROGRAM:
            return Program(name=name, source=None, reason=_TOO_LARGE)
        return Program(name=name, source=decoded(path.read_bytes()))
    except OSError as error:
        return Program(name=name, source=None, reason=f"cannot be read: {error.strerror}")
    except (UnicodeError, SyntaxError, LookupError):
        return Program(name=name, source=None, reason="no text in the encoding that it declares, or UTF-8")


def text_of(data: bytes) -> str:
    """UTF-8, or UTF-16 with a byte order mark. Raises `UnicodeDecodeError`."""
    return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")


def _from_archive(path: Path) -> tuple[Program, ...]:
    try:
        if path.stat().st_size > LARGEST_ARCHIVE:
            raise BadCandidate(f"{path} is over {LARGEST_ARCHIVE // 2**20} MiB: give a part of it")
        text = text_of(path.read_bytes())
    except OSError as error:
        raise BadCandidate(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadCandidate(f"{path} is no UTF-8 text: name a folder of Python files, or an archive in JSON") from error
    found = [_from_record(number, r) for number, r in enumerate(_records(text), start=1)]
    if not any(program.source or program.reason == _TOO_LARGE for program in found):
        try:
            json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadCandidate(
                f"{path} is no JSON, or ends too early ({str(error)[:100]}): give a whole archive, or --log for a log"
            ) from error
        raise BadCandidate(
            f"{path} holds no record with a `program`: an archive is a list of objects with name, program"
        )
    _count(len(found), path)
    return tuple(found)


def _from_record(number: int, record: Any) -> Program:
    fields = record if isinstance(record, dict) else {}
    name = storable(str(fields.get("name") or fields.get("index") or fields.get("id") or number)[:120])
    source = next((fields[key] for key in SOURCES if isinstance(fields.get(key), str) and fields[key].strip()), None)
    if source is not None and len(source) > LARGEST_PROGRAM:
        return Program(name=name, source=None, reason=_TOO_LARGE)
    return Program(name=name, source=source, reason="" if source else "its record has no program")


def _records(text: str) -> Iterable[Any]:
    """A list, an object that holds one, or one object a line."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return json_lines(text)
    if isinstance(found, dict) and not found.keys() & set(SOURCES):
        inner = [list(v.values()) if isinstance(v, dict) else v for v in (found, *found.values())]
        lists = [v for v in inner if isinstance(v, list) and any(isinstance(item, dict) for item in v)]
        return max(lists, key=_programs, default=[])
    return found if isinstance(found, list) else [found]


def _programs(records: list[Any]) -> int:
    return sum(isinstance(r, dict) and bool(r.keys() & set(SOURCES)) for r in records)


def json_lines(text: str) -> Iterable[Any]:
    """The JSON value of each line; lines that are no JSON, such as a cut one, are skipped."""
    for line in text.split("\n"):  # a text may hold what ends a line elsewhere
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue


def _count(found: int, path: Path) -> None:
    if found > MOST_PROGRAMS:
        raise BadCandidate(f"{path} holds {found:,} programs, at most {MOST_PROGRAMS:,} are audited at once")


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "__")) for part in path.relative_to(root).parts)
