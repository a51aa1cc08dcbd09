"""Runs a command as an ordinary user, from a root shell: `python ordinary.py [--subordinate] COMMAND ...`.

An interpreter below /root cannot be read by anybody else. So that tests need no second one, each closed folder on the
way is covered, in a mount namespace of this process alone, by an open one that holds just the interpreter. There, with
--subordinate, the user also has a name, and users and groups below it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from move37.sandbox.process import rootfs
from move37.sandbox.worker import syscalls

USER = 54321  # nobody's in particular
BELOW = 1_000_000  # the first user and group below it
FILES = {
    "passwd": f"root:x:0:0::/root:/bin/sh\nordinary:x:{USER}:{USER}::/tmp:/bin/sh\n",
    "subuid": f"ordinary:{BELOW}:65536\n",
    "subgid": f"{USER}:{BELOW}:65536\n",
}


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


def grant_users() -> None:
    """In this mount namespace: what an administrator writes for a user who is to have others."""
    for name, text in FILES.items():
        with tempfile.NamedTemporaryFile("w") as file:
            os.chmod(file.name, 0o644)
            file.write(text)
            file.flush()
            Path("/etc", name).touch()
            syscalls.mount(file.name, f"/etc/{name}", None, syscalls.MS_BIND)


def become(user: int = USER) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def main() -> None:
    open_the_way([*rootfs.interpreter_folders(), Path(__file__).resolve().parents[2]])
    command = sys.argv[1:]
    if command[0] == "--subordinate":
        del command[0]
        grant_users()
    become()
    os.chdir("/")
    os.environ["HOME"] = "/tmp"
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
