"""Removes what a job left behind, however it nested and named it."""

from __future__ import annotations

import contextlib
import os


def empty(path: str) -> None:
    """Remove what is below a folder, however deep; what belongs to somebody else stays.

    Not `rmtree`: a job can nest folders until its recursion, or the length of a path, ends. Here a folder's folders
    are moved up before it is removed.
    """
    with contextlib.suppress(OSError):
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            waiting = remove_files(top)
            number = 0
            while waiting:
                name = waiting.pop()
                with contextlib.suppress(OSError):
                    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
                    try:
                        os.chmod(folder, 0o700)
                        for inner in remove_files(folder):
                            number += 1
                            os.rename(inner, f"\x01{number}", src_dir_fd=folder, dst_dir_fd=top)
                            waiting.append(f"\x01{number}")
                    finally:
                        os.close(folder)
                    os.rmdir(name, dir_fd=top)
        finally:
            os.close(top)


def remove_files(folder: int) -> list[str]:
    """Remove all but folders; their names."""
    folders = []
    for name in os.listdir(folder):
        try:
            os.unlink(name, dir_fd=folder)
        except (IsADirectoryError, PermissionError):
            folders.append(name)
        except OSError:
            pass
    return folders
