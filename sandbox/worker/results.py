"""What a job left in $MOVE37_OUT and in its folder: found, checked and sent, once everything of the job is dead.

A file that cannot be sent (a link, a device, a name that no file may have, one too many) is left out by name, with the
reason, and the rest comes back; only where it was asked for by its very name the job counts as refused. Names and sizes
are checked again by the host (`sandbox/result_validation.py`).
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from move37.sandbox.worker.wire import CHUNK, Spec, Wire

MAX_RESULT_FILES = 4096
MAX_NAME_BYTES = 1 << 20  # all names together: they travel in one frame
MAX_NAME = 1024  # characters of one path
MAX_PART = 200  # bytes of one component
MAX_DEPTH = 16
MAX_WALKED = 100_000
MAX_LISTED = 100  # of those left out; the rest is a number
_PATTERN = re.compile(r"[*?[]")  # a file may be called like a pattern; nobody asked for it by its name
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Result(NamedTuple):
    """A file to send."""

    name: str
    size: int
    executable: bool
    path: str


@dataclass
class ResultFiles:
    """What comes back of one job, and what does not."""

    room: int  # bytes that may still come
    files: dict[str, Result] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)  # printable name, reason
    left_out_count: int = 0
    refused: str | None = None  # why a file that was asked for by name cannot come
    name_bytes: int = 0
    walked: int = 0

    def leave_out(self, name: str, why: str, *, asked_for: bool = False) -> None:
        shown = ascii(name)[1:-1][:MAX_PART]
        self.left_out_count += 1
        if len(self.left_out) < MAX_LISTED:
            self.left_out.append((shown, why))
        if asked_for:
            self.refused = self.refused or f"{shown} {why}"


def gather(root: Path, job: Spec) -> ResultFiles:
    """The results that a job asked to be brought back, and those that it cannot have."""
    found = ResultFiles(room=int(job["limits"]["result_bytes"]))
    sent = {name: size for name, size, _ in job["files"]}
    skipped = set() if job["writable"] else set(sent)
    old = sent if job["writable"] else {}
    here = [pattern.removeprefix("./") for pattern in job["collect"] if pattern.startswith("./")]
    gather_folder(root / "out", [p for p in job["collect"] if not p.startswith("./")], set(), found)
    gather_folder(root / "work", here, skipped, found, old=old, placed_ns=job.get("placed_ns", 0))
    return found


def gather_folder(
    path: Path,
    wanted: list[str],
    skipped: set[str],
    found: ResultFiles,
    *,
    old: Mapping[str, int] = MappingProxyType({}),
    placed_ns: int = 0,
) -> None:
    """Find the files below `path` that match; one that is there already, by name, is kept. Those that were there before
    the job (`old`, by size, `placed_ns`) come last, so that what is new or changed does not fall behind the limits."""
    if not wanted:
        return
    try:
        folder = os.open(path, OPEN_FOLDER)
    except OSError as error:
        found.leave_out(path.name + "/", f"cannot be opened as a folder ({error.strerror})")
        return
    try:
        unchanged = []
        for name, info in walk(folder, found):
            if name not in skipped and name not in found.files and matches(name, wanted):
                if old.get(name) == info.st_size and info.st_mtime_ns <= placed_ns:
                    unchanged.append((name, info))
                else:
                    consider(name, info, path, name in wanted and not _PATTERN.search(name), found)
        for name, info in unchanged:
            consider(name, info, path, name in wanted and not _PATTERN.search(name), found)
    finally:
        os.close(folder)


def matches(name: str, wanted: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)


def consider(name: str, info: os.stat_result, folder: Path, asked_for: bool, found: ResultFiles) -> None:
    """Take a file, or leave it out."""
    why = problem_of(name, info)
    if why is None and len(found.files) == MAX_RESULT_FILES:
        why = f"is one too many: {MAX_RESULT_FILES} files come back"
    if why is None and found.name_bytes + len(name.encode()) > MAX_NAME_BYTES:
        why = "is one too many: the names together are too long"
    if why is None and info.st_size > found.room:
        why = f"is too large: it has {info.st_size} bytes, and of the limit {found.room} bytes are left"
    path = f"{folder}/{name}"
    if why is None:
        try:
            os.close(os.open(path, OPEN_FILE))
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
    if why is not None:
        found.leave_out(name, why, asked_for=asked_for)
        return
    found.room -= info.st_size
    found.name_bytes += len(name.encode())
    found.files[name] = Result(name, info.st_size, bool(info.st_mode & 0o111), path)


def problem_of(name: str, info: os.stat_result) -> str | None:
    """Why this file can never be a result; None when it can."""
    if any(0xD800 <= ord(letter) < 0xE000 for letter in name):
        return "has a name that is not UTF-8"
    if any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 or letter == "\\" for letter in name):
        return "has control characters or backslashes in its name"
    if len(name) > MAX_NAME or any(len(part.encode()) > MAX_PART for part in name.split("/")):
        return "has a name that is too long"
    if stat.S_ISLNK(info.st_mode):
        return "is a link"
    if not stat.S_ISREG(info.st_mode):
        return "is not a regular file"
    if info.st_nlink != 1:
        return "has a second name (hard link)"
    return None


def walk(folder: int, found: ResultFiles, prefix: str = "", depth: int = 1) -> Iterator[tuple[str, os.stat_result]]:
    """(name, stat) of everything below a folder that is no folder, never through a link."""
    for name in sorted(os.listdir(folder)):
        found.walked += 1
        if found.walked > MAX_WALKED:
            if found.walked == MAX_WALKED + 1:
                found.leave_out("...", f"and what follows: more than {MAX_WALKED} names are not looked at")
            return
        try:
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:  # of a folder that may be listed and not entered
            found.leave_out(prefix + name, f"cannot be looked at ({error.strerror})")
            continue
        if not stat.S_ISDIR(info.st_mode):
            yield prefix + name, info
            continue
        if depth > MAX_DEPTH:
            found.leave_out(f"{prefix}{name}/", "is nested too deeply")
            continue
        try:
            inner = os.open(name, OPEN_FOLDER, dir_fd=folder)
        except OSError as error:
            found.leave_out(f"{prefix}{name}/", f"cannot be read ({error.strerror})")
            continue
        try:
            yield from walk(inner, found, f"{prefix}{name}/", depth + 1)
        finally:
            os.close(inner)


def send_files(wire: Wire, results: ResultFiles) -> None:
    """Exactly the bytes that were announced; one file is open at a time. A file that shrank is padded with zeros."""
    for result in results.files.values():
        try:
            descriptor = os.open(result.path, OPEN_FILE)
        except OSError:
            descriptor = os.open(os.devnull, os.O_RDONLY)
        try:
            left = result.size
            while left:
                part = os.read(descriptor, min(left, CHUNK * 4)) or b"\0" * min(left, CHUNK)
                wire.send(b"D", part)
                left -= len(part)
        finally:
            os.close(descriptor)
