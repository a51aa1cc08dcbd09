"""What lies in a person's folder: the files that can be read, and what is passed over, so that it can be said."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from move37.memory.decoding import printable

SUFFIXES = (".md", ".txt", ".pdf", ".bib", ".ris", ".json")


def of_other_kinds(folder: Path) -> Counter[str]:
    """Suffixes of the files below a folder that `read_all` passes over, and how many there are of each."""
    others = (path.suffix.lower() for path in shown(folder) if path.suffix.lower() not in SUFFIXES)
    counted = Counter(suffix or "no suffix" for suffix in others)
    rest = [path for path in folder.rglob("*") if not os.path.isfile(path)]
    closed = sum(1 for path in rest if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK))
    odd = sum(1 for path in rest if not os.path.isdir(path))
    return counted + Counter({"no file (pipe, or link to nothing)": odd, "closed folder": closed})


def shown(folder: Path) -> Iterator[Path]:
    """Every file below a folder that is not hidden and is no README.md."""
    files = (path for path in folder.rglob("*") if os.path.isfile(path) and path.name != "README.md")
    return (path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def keys_of(paths: Sequence[PurePath]) -> list[str]:
    """The key of each file, given as paths from the folder: see `ingest.read_all`."""
    stems = Counter(printable(path.stem) for path in paths)
    places = Counter(printable(path.with_suffix("").as_posix()) for path in paths)
    shortest = [
        printable(path.stem if stems[printable(path.stem)] == 1 else path.with_suffix("").as_posix()) for path in paths
    ]
    taken = {key for key in shortest if places[key] < 2}
    out: list[str] = []
    for path, key in zip(paths, shortest, strict=True):
        if places[key] > 1:
            key = printable(path.as_posix())
            while key in taken:
                key = f"./{key}"
            taken.add(key)
        out.append(key)
    return out
