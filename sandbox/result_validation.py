"""Which names a job may send in and bring back: pure rules, asked by both ends of the wire.

That a result is a regular file, has one name, and fits the cap is checked where the files are (`gather` in
`sandbox/worker/results.py`); the host checks names and sizes again here, because a candidate may have tampered with
what the worker reports.
Not covered: what is in the files. They are bytes to be parsed against a schema, never unpickled or unpacked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from move37.sandbox.text import harmless

DRIVES = os.name == "nt"  # where C:x is a place outside
MAX_NAME = 1024  # characters of a whole relative path
MAX_PART = 200  # bytes of one component
DISK_REFUSES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
GIT_SETTINGS = ("config", "config.worktree", "commondir")
LINK = "would pass through a symbolic link"
NO_LINK_NO_WAIT = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


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


def git_settings(names: Iterable[str]) -> set[str]:
    """Those by which git would run commands for whoever looks at their folder: settings and hooks of a repository, one
    that is not called .git included (a folder with HEAD may be one), and what makes it one."""
    paths = {name: PurePosixPath(name.lower()) for name in names}
    bare = {path.parent for path in paths.values() if path.name == "head" and ".git" not in path.parts}
    found, set_up = set(), set()
    for name, path in paths.items():
        inside = [folder for folder in path.parents if folder in bare or folder.name == ".git"]
        near = [f for f in inside if path.parent == f or f.name == ".git"]  # below .git the submodules' own
        says = near if path.name in GIT_SETTINGS else [f for f in inside if "hooks" in path.relative_to(f).parts[:-1]]
        set_up.update(says)
        if says or path.name == ".git":
            found.add(name)
    return found | {name for name, path in paths.items() if path.name == "head" and path.parent in bare & set_up}


def write_results(files: Mapping[str, bytes], folder: Path) -> dict[str, str]:
    """Write results below `folder`; those that cannot be written, each with the reason, while the rest is.

    Never through a link that lies there already, symbolic or hard, nor into a pipe or a device, which could hold us for
    ever.
    Raises `OSError` when the disk is full or refuses everything.
    """
    refused: dict[str, str] = {}
    root = folder.resolve()
    for name, content in sorted(files.items()):
        if (problem := fault(name)) is None:
            try:
                problem = _write(root, root.joinpath(*PurePosixPath(name).parts), content)
            except OSError as error:
                if error.errno in DISK_REFUSES:
                    raise
                problem = f"cannot be written ({error.strerror})"
        if problem is not None:
            refused[name] = problem
    return refused


def _write(root: Path, target: Path, content: bytes) -> str | None:
    """Why the file cannot stand there, or None once it does. Raises `OSError`."""
    root.mkdir(parents=True, exist_ok=True)
    for parent in reversed(target.parents):
        if parent.is_relative_to(root) and parent != root:
            if parent.is_symlink():  # before anything is made behind it
                return LINK
            parent.mkdir(exist_ok=True)
    if target.is_symlink():
        return LINK
    if target.is_file() and target.stat().st_nlink > 1:
        target.unlink()  # its other names, in a cache of packages say, keep what they had
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | NO_LINK_NO_WAIT, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "would be written into a pipe or a device"
        file.truncate()
        file.write(content)
    return None
