"""Which names a job may send in and bring back: pure rules, asked by both ends of the wire.

That a result is a regular file, has one name, and fits the cap is checked where the files are (`gather` in
`sandbox/worker/results.py`); the host checks names and sizes again here, because a candidate may have tampered with
what the worker reports.
Not covered: what is in the files. They are bytes to be parsed against a schema, never unpickled or unpacked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from move37.sandbox.text import harmless

DRIVES = os.name == "nt"  # where C:x is a place outside
MAX_NAME = 1024  # characters of a whole relative path
MAX_PART = 200  # bytes of one component


def fault(name: str) -> str | None:
    """Why `name` may not be used as a relative path, or None."""
    shown = ascii(name[:80])
    if not name or len(name) > MAX_NAME:
        return f"the name {shown} is empty or too long"
    if any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 or letter == "\\" for letter in name):
        return f"the name {shown} has control characters or backslashes"
    if any(0xD800 <= ord(letter) < 0xE000 for letter in name):
        return f"the name {shown} is not UTF-8"
    if harmless(name.encode()) != name:
        return f"the name {shown} has letters that do not show or turn the line"
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or (DRIVES and ":" in parts[0]):
        return f"the name {shown} leaves its folder"
    if any(len(part.encode()) > MAX_PART for part in parts):
        return f"the name {shown} is too long"
    return None


def check_name(name: str) -> None:
    """Raises `ValueError` with the fault."""
    if problem := fault(name):
        raise ValueError(problem)


def write_results(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write results below `folder`, never through a symbolic link that lies there already.

    Raises `ValueError` for a bad name or a link in the way, `OSError` when the disk refuses.
    """
    written = []
    root = folder.resolve()
    for name, content in sorted(files.items()):
        check_name(name)
        target = root.joinpath(*PurePosixPath(name).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.parent.resolve() != target.parent or target.is_symlink():
            raise ValueError(f"the result {name!r} would pass through a symbolic link in {folder}")
        target.write_bytes(content)
        written.append(target)
    return written
