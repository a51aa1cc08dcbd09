"""What is to be audited: a folder of Python files, one file, or an archive of records with `name` and `program`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from move37.lab.errors import BadCandidate

LARGEST_ARCHIVE = 256 * 2**20  # bytes
LARGEST_PROGRAM = 2**20  # bytes of one Python file; longer ones are not read
MOST_PROGRAMS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program as it was found."""

    name: str
    source: str | None  # None: it is no text
    reason: str = ""  # why not


def read_programs(path: Path) -> tuple[Program, ...]:
    """All programs at `path`, in order. Raises `BadCandidate` in one line when there is nothing to audit."""
    if path.is_dir():
        files = sorted(f for f in path.rglob("*.py") if f.is_file() and not _hidden(f, path))
        if not files:
            raise BadCandidate(f"{path} holds no Python file: name a folder of programs, or an archive in JSON")
        _count(len(files), path)
        return tuple(_from_file(f, f.relative_to(path).with_suffix("").as_posix()) for f in files)
    if not path.is_file():
        raise BadCandidate(f"there is no {path}: name a folder of Python files, or an archive in JSON")
    if path.suffix == ".py":
        return (_from_file(path, path.stem),)
    return _from_archive(path)


def _from_file(path: Path, name: str) -> Program:
    try:
        if path.stat().st_size > LARGEST_PROGRAM:
            return Program(name=name, source=None, reason=f"over {LARGEST_PROGRAM // 2**20} MiB")
        return Program(name=name, source=path.read_bytes().decode("utf-8"))
    except OSError as error:
        return Program(name=name, source=None, reason=f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return Program(name=name, source=None, reason="no UTF-8 text")


def _from_archive(path: Path) -> tuple[Program, ...]:
    try:
        if path.stat().st_size > LARGEST_ARCHIVE:
            raise BadCandidate(f"{path} is over {LARGEST_ARCHIVE // 2**20} MiB: give a part of it")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise BadCandidate(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadCandidate(f"{path} is no UTF-8 text: name a folder of Python files, or an archive in JSON") from error
    records = [r for r in _records(text) if isinstance(r, dict) and isinstance(r.get("program"), str)]
    if not records:
        raise BadCandidate(
            f"{path} holds no record with a `program`: an archive is a list of objects with name, program"
        )
    _count(len(records), path)
    return tuple(
        Program(name=str(r.get("name") or r.get("index") or number)[:120], source=r["program"])
        for number, r in enumerate(records, start=1)
    )


def _records(text: str) -> Iterable[Any]:
    """A list, an object that holds one, or one object a line."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _lines(text)
    if isinstance(found, dict):
        lists = [v for v in found.values() if isinstance(v, list)]
        return lists[0] if lists and "program" not in found else [found]
    return found if isinstance(found, list) else []


def _lines(text: str) -> Iterable[Any]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue


def _count(found: int, path: Path) -> None:
    if found > MOST_PROGRAMS:
        raise BadCandidate(f"{path} holds {found:,} programs, at most {MOST_PROGRAMS:,} are audited at once")


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "__")) for part in path.relative_to(root).parts)
