"""What a program finds beside it: FILE, what --in names, its standard input. Reads files only; raises `BadInput`."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from move37.app.exits import BadInput
from move37.sandbox.result_validation import fault

MIB = 1024 * 1024
MAX_INPUT_BYTES = 1024 * MIB
MAX_STDIN_BYTES = 64 * MIB
SKIPPED = {"__pycache__", ".git", ".venv", ".move37"}
PATIENCE = 2.0  # seconds after which a silent pipe is mentioned


def gather_input(file: str, given: list[str]) -> tuple[str, dict[str, bytes]]:
    """The program's path in its folder, and all files by path. Raises `BadInput`.

    A FILE that lies in a folder given with --in runs at its place there, so that it finds its siblings.
    """
    files: dict[str, bytes] = {}
    places: dict[Path, str] = {}
    origins: dict[str, Path] = {}
    total = 0
    for name in given:
        for source, target in _below(name):
            if problem := fault(target):
                raise BadInput(f"--in {name}: {problem}; rename the file, or leave it out")
            if origins.setdefault(target, source.resolve()) != source.resolve():
                raise BadInput(f"--in {name}: another file is called {target} there: rename one of them")
            total += source.stat().st_size
            if total > MAX_INPUT_BYTES:
                raise BadInput(f"--in {name}: more than {MAX_INPUT_BYTES // MIB} MiB; give only what the program reads")
            files[target] = _read(source)
            places[source.resolve()] = target
    if file == "-":
        files["stdin.py"] = _all_of(sys.stdin.buffer, "standard input") if sys.stdin else b""
        return "stdin.py", files
    path = Path(file)
    if not path.is_file() and not path.is_fifo():  # a shell's <(...) is a pipe
        raise BadInput(f"{file} {_why_no_file(path)}: name a Python file, or -")
    if (place := places.get(path.resolve())) is not None:
        return place, files
    if problem := fault(path.name):
        raise BadInput(f"{problem}: rename the program")
    if path.name in files:
        raise BadInput(f"--in brings another file called {path.name}: rename one of them")
    files[path.name] = _read(path)
    if taken := {parent.as_posix() for name in files for parent in PurePosixPath(name).parents} & files.keys():
        raise BadInput(f"{min(taken)} is a file, and a folder of --in is called so too: rename one of them")
    # A program is never taken for an option of the interpreter.
    return (f"./{path.name}" if path.name.startswith("-") else path.name), files


def standard_input() -> bytes:
    """What is piped or redirected to us, all of it; nothing from a terminal. Says so when a pipe stays silent."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # closed
        return b""
    if sys.stdin.isatty() or not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return b""
    if not stat.S_ISREG(mode) and not select.select([sys.stdin], [], [], PATIENCE)[0]:
        print("move37: reading standard input to its end first; `</dev/null` if there is none", file=sys.stderr)
    return _all_of(sys.stdin.buffer, "standard input")


def _all_of(source: BinaryIO, name: str) -> bytes:
    try:
        data = source.read(MAX_STDIN_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror}") from error
    if len(data) > MAX_STDIN_BYTES:
        raise BadInput(f"{name} has more than {MAX_STDIN_BYTES // MIB} MiB: give it as a file with --in")
    return data


def _why_no_file(path: Path) -> str:
    if path.is_dir():
        return "is a folder"
    return "is neither a file nor a folder" if path.exists() else "does not exist"


def _below(name: str) -> Iterator[tuple[Path, str]]:
    """(file, its path in the sandbox) of everything that one --in names."""
    root = Path(name)
    if root.is_file():
        yield root, root.name
        return
    if not root.is_dir():
        raise BadInput(f"--in {name} {_why_no_file(root)}")
    prefix = "" if name.endswith(("/", os.sep)) or root.name in ("", "..") else root.name + "/"
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - SKIPPED)
        for entry in sorted(names):
            path = Path(folder, entry)
            if path.is_file() and not path.is_symlink():
                yield path, prefix + path.relative_to(root).as_posix()


def _read(path: Path) -> bytes:
    try:
        if path.is_fifo():
            with path.open("rb") as pipe:
                return _all_of(pipe, str(path))
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
