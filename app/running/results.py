"""What a program wrote: into the user's folder where they asked for it, and told by name where they did not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryFile

from move37.app.exits import BadInput
from move37.sandbox.result_validation import git_settings, write_results

TOLD = 5  # names in one sentence


def prepare_out(out: Path | None, *, force: bool) -> None:
    """Make the folder, before a program works for hours for what nobody can write. Raises `BadInput` for a place that
    cannot be used, or where results could overwrite something."""
    if out is None:
        return
    try:
        if out.is_file():
            raise BadInput(f"--out {out} is a file: name a folder")
        if not force and out.is_dir() and any(out.iterdir()):
            raise BadInput(f"--out {out} is not empty: name a new folder, or say --force to write into it")
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise BadInput(f"--out {out} cannot be written to ({error.strerror}): name another folder") from error


def is_hidden(name: str) -> bool:
    """Whether a part of the path begins with a dot: such files configure other programs."""
    return any(part.startswith(".") for part in name.split("/"))


def withheld(files: Iterable[str], *, hidden: bool) -> dict[str, str]:
    """The files that are not written unless `hidden` asks for them, with the reason."""
    if hidden:
        return {}
    git = git_settings(files := list(files))
    why = {name: "hidden" if is_hidden(name) else "git would run what it says" for name in files}
    return {name: f"{why[name]}: --hidden returns it" for name in files if is_hidden(name) or name in git}


def write(files: Mapping[str, bytes], executables: Iterable[str], out: Path) -> dict[str, str]:
    """The files that cannot be written, with the reason. Raises `OSError` when none can."""
    out.mkdir(parents=True, exist_ok=True)
    refused = write_results(files, out)
    for name in executables:
        if name in files and name not in refused:
            path = out / name
            os.chmod(path, path.stat().st_mode | 0o111)
    return refused


def gone(files: Mapping[str, int]) -> str:
    """The sentence about files that were written and not returned; empty without any. Sizes in bytes."""
    if not files:
        return ""
    count = f"{len(files)} files" if len(files) > 1 else "a file"
    return f"{count} that it wrote ended with it ({_named(files)}): --out DIR returns them"


def _named(files: Mapping[str, int]) -> str:
    names = [f"{name}, {_size(size)}" for name, size in list(files.items())[:TOLD]]
    return "; ".join(names) + (f"; and {len(files) - TOLD} more" if len(files) > TOLD else "")


def _size(size: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size //= 1024
    return f"{size} GiB"
