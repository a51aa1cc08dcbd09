"""A folder of the host that travels into a job and back: what AutoGen's executor mounts, ours copies.

`pack` reads it, `unpack` writes back what a job changed. Symbolic links are neither followed nor written through, so
that nothing outside the folder is read into a job or overwritten from one. Names that a job may not have, and what is
closed to us, stay at home. Not covered: modes other than the executable bit, times, empty folders.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from move37.sandbox.errors import RefusedRequest
from move37.sandbox.job import MIB
from move37.sandbox.result_validation import fault, write_results


def pack(folder: Path, limit_bytes: int) -> dict[str, bytes]:
    """Every regular file below `folder`. Raises `RefusedRequest` when they are more than `limit_bytes`."""
    found: dict[str, bytes] = {}
    total = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.is_symlink() or not path.is_file():
                continue
            relative = path.relative_to(folder).as_posix()
            try:
                total += path.stat().st_size
                content = path.read_bytes() if total <= limit_bytes and fault(relative) is None else b""
            except OSError:  # closed to us, or gone since: somebody else's, and no reason to run nothing
                continue
            if total > limit_bytes:
                raise RefusedRequest(
                    f"{folder} holds more than {limit_bytes // MIB} MiB, which is copied for each block of code: "
                    "give the executor a work_dir of its own"
                )
            if fault(relative) is None:
                found[relative] = content
    return found


def unpack(folder: Path, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> dict[str, str]:
    """Make `folder` what a job left: what it removed is removed first, then new and changed files are written.

    A folder where a file stood, or a file where a folder stood, takes its place, unless there is something in the way
    that the job could not know of. What cannot be written comes back, with the reason. Raises `OSError` when the disk
    refuses.
    """
    for name in before.keys() - after.keys():
        path = folder / name
        with contextlib.suppress(OSError):  # by now something else stands there
            if path.parent.resolve() == folder.resolve() / Path(name).parent:
                path.unlink(missing_ok=True)
    changed = {name: content for name, content in after.items() if before.get(name) != content}
    for name in changed:
        _make_way(folder, name)
    return write_results(changed, folder)


def fitting(
    before: Mapping[str, bytes], after: Mapping[str, bytes], limit_bytes: int
) -> tuple[dict[str, bytes], list[str]]:
    """`after` without the largest of what is new in it, so that it holds at most `limit_bytes`; and what stays out.

    A changed file that stays out is as it was before.
    """
    kept, out = dict(after), []
    total = sum(map(len, kept.values()))
    new = [name for name, content in after.items() if before.get(name) != content]
    for name in sorted(new, key=lambda name: -len(after[name])):
        if total <= limit_bytes:
            break
        out.append(name)
        total -= len(kept.pop(name))
        if name in before:
            kept[name] = before[name]
            total += len(before[name])
    return kept, out


def executables(folder: Path, names: Iterable[str]) -> frozenset[str]:
    """Those of `names` that the user may execute in `folder`."""
    return frozenset(name for name in names if os.access(folder / name, os.X_OK))


def make_executable(folder: Path, names: Iterable[str]) -> None:
    """Let the user execute what a job could execute. Raises `OSError`."""
    for name in names:
        path = folder / name
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o100)


def _make_way(folder: Path, name: str) -> None:
    """Remove what stands where a file or one of its folders has to be; nothing outside, and no link's target."""
    if fault(name) is not None:
        return  # refused when it is written
    target = folder / name
    for parent in [p for p in reversed(target.parents) if folder in p.parents]:
        if parent.is_symlink():
            return  # refused when it is written, and what lies behind it is somebody else's
        if parent.is_file():
            parent.unlink()
    inside = target.parent.resolve() == folder.resolve() / Path(name).parent
    if inside and target.is_dir() and not target.is_symlink() and not any(names for _, _, names in os.walk(target)):
        shutil.rmtree(target)
