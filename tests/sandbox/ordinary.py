"""Runs a command as an ordinary user, from a root shell: `python ordinary.py COMMAND ...`.

An interpreter below /root cannot be read by anybody else. So that tests need no second one, each closed folder on the
way is covered, in a mount namespace of this process alone, by an open one that holds just the interpreter.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from move37.sandbox.process import rootfs
from move37.sandbox.worker import syscalls

USER = 54321  # nobody's in particular


def closed_parents(path: Path) -> list[Path]:
    return [parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o005]


def open_the_way(needed: list[Path]) -> None:
    """Make `needed` readable for everybody, for this process and its children only."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    for path in needed:
        for parent in closed_parents(path):
            inside = os.open(path, os.O_PATH)
            syscalls.mount("open", str(parent), "tmpfs", 0, "mode=755,size=1m")
            path.mkdir(parents=True)
            syscalls.mount(f"/proc/self/fd/{inside}", str(path), None, syscalls.MS_BIND | syscalls.MS_REC)
            os.close(inside)
            break


def become(user: int = USER) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def main() -> None:
    open_the_way([*rootfs.interpreter_folders(), Path(__file__).resolve().parents[2]])
    become()
    os.chdir("/")
    os.environ["HOME"] = "/tmp"
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
