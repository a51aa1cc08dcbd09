"""What a job left in $MOVE37_OUT and in its folder: found, checked and sent, once everything of the job is dead.

Names and sizes are judged again by the host (`sandbox/result_validation.py`); what is checked here is what a program
beside the candidate can promise.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from move37.sandbox.worker.wire import CHUNK, Spec, Wire

MAX_RESULT_FILES = 4096


class Refused(Exception):
    """A result broke a rule."""


def walk(folder: int, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, int, os.stat_result]]:
    """(name, descriptor of its folder, stat) of everything below a folder, never through a link."""
    if depth > 16:
        raise Refused("folders are nested too deeply")
    with os.scandir(folder) as entries:
        found = sorted(entry.name for entry in entries)
    for name in found:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                yield from walk(inner, f"{prefix}{name}/", depth + 1)
            finally:
                os.close(inner)
        else:
            yield prefix + name, folder, info


Result = tuple[str, int, int]  # name, size, open descriptor


def gather(root: Path, job: Spec) -> list[Result]:
    """The results that a job asked to be brought back. Raises `Refused` with a sentence."""
    cap = int(job["limits"]["result_bytes"])
    sent = set() if job["writable"] else {name for name, _ in job["files"]}
    here = [pattern.removeprefix("./") for pattern in job["collect"] if pattern.startswith("./")]
    found: dict[str, Result] = {}
    try:
        gather_folder(root / "out", [p for p in job["collect"] if not p.startswith("./")], set(), cap, found)
        gather_folder(root / "work", here, sent, cap, found)
    except (Refused, OSError) as error:
        for _, _, descriptor in found.values():
            os.close(descriptor)
        raise error if isinstance(error, Refused) else Refused(f"the results cannot be read: {error}") from error
    return list(found.values())


def gather_folder(path: Path, wanted: list[str], skipped: set[str], cap: int, found: dict[str, Result]) -> None:
    """Open the files below `path` that match; one that is there already, by name, is kept."""
    if not wanted:
        return
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, parent, info in walk(folder):
            if name in skipped or name in found or not any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted):
                continue
            check_result(name, info)
            if sum(size for _, size, _ in found.values()) + info.st_size > cap:
                raise Refused(f"the results are larger than {cap} bytes, at {name!a}")
            if len(found) == MAX_RESULT_FILES:
                raise Refused(f"there are more than {MAX_RESULT_FILES} results")
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            found[name] = name, info.st_size, os.open(name.rpartition("/")[2], flags, dir_fd=parent)
    finally:
        os.close(folder)


def check_result(name: str, info: os.stat_result) -> None:
    shown = ascii(name)
    if any(0xD800 <= ord(letter) < 0xE000 for letter in name):
        raise Refused(f"the name {shown} is not UTF-8")
    if not stat.S_ISREG(info.st_mode):
        raise Refused(f"the result {shown} is not a regular file")
    if info.st_nlink != 1:
        raise Refused(f"the result {shown} has a second name (hard link)")


def send_file(wire: Wire, descriptor: int, size: int) -> None:
    """Exactly `size` bytes, padded with zeros should the file have shrunk."""
    while size:
        part = os.read(descriptor, min(size, CHUNK * 4)) or b"\0" * min(size, CHUNK)
        wire.send(b"D", part)
        size -= len(part)
