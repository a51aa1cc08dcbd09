"""Removes what a job left behind, however it nested, named and locked it; and says when something stayed.

The caller decides what to do then: a container or a zygote in which a trace of a job stayed must not see another
one (`Leftover` ends it).
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Leftover(Exception):
    """Something of a job could not be removed."""


def verify_empty(folders: Iterable[str]) -> None:
    """Raises `Leftover` for the first of `folders` that exists and holds anything, or cannot be looked into."""
    for folder in folders:
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Leftover(f"{folder} cannot be looked into: {error.strerror}") from error
        if names:
            raise Leftover(f"{len(names)} name(s) stayed in {folder}")


def empty(path: str) -> None:
    """Remove what is below a folder as far as this user may; what belongs to another user stays.

    Not `rmtree`: a job can nest folders until its recursion, or the length of a path, ends. Here a folder's folders
    are moved up, under names that cannot be guessed, before it is removed.
    """
    with contextlib.suppress(OSError):
        # Its owner may have closed it to itself.
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                os.chmod(path, stat.S_IMODE(os.lstat(path).st_mode) | 0o700)
        top = os.open(path, OPEN_FOLDER)
        try:
            waiting = remove_files(top)
            while waiting:
                waiting += _remove_folder(top, waiting.pop())
        finally:
            os.close(top)


def _remove_folder(top: int, name: str) -> list[str]:
    """Remove one folder in `top`; the new names of those that stood in it and now stand in `top`."""
    moved: list[str] = []
    with contextlib.suppress(OSError):
        _unlock(top, name)
        folder = os.open(name, OPEN_FOLDER, dir_fd=top)
        try:
            for inner in remove_files(folder):
                with contextlib.suppress(OSError):
                    os.rmdir(inner, dir_fd=folder)
                    continue
                # To move a folder elsewhere one has to be able to write into it.
                _unlock(folder, inner)
                new = os.urandom(12).hex()
                with contextlib.suppress(OSError):
                    os.rename(inner, new, src_dir_fd=folder, dst_dir_fd=top)
                    moved.append(new)
        finally:
            os.close(folder)
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=top)
    return moved


def _unlock(parent: int, name: str) -> None:
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.chmod(name, 0o700, dir_fd=parent)


def remove_files(folder: int) -> list[str]:
    """Remove all but folders; their names."""
    folders = []
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                folders.append(name)
            else:
                os.unlink(name, dir_fd=folder)
    return folders


def remove_tree(path: str) -> None:
    """The folder too. Raises `Leftover`."""
    empty(path)
    verify_empty([path])
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path)
