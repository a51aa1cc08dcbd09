"""Who holds a thing that outlives a crash (a container's label, a GPU's lease), and whether that process still lives.

A process number alone is reused after a while; with the time it started it is not. Number and time mean something only
in one process namespace of one boot, so both are part of the name, and about strangers we say that we do not know.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process on one machine."""

    boot: str  # the kernel's boot id: another one means that the machine has restarted since
    namespace: int  # inode of the process namespace
    pid: int
    start: int  # in clock ticks after boot

    def __str__(self) -> str:
        return f"{self.boot}/{self.namespace}/{self.pid}/{self.start}"


def parse(text: str) -> ProcessIdentity | None:
    """The owner that `str` wrote; None for anything else."""
    parts = text.split("/")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in parts[1:]):
        return None
    return ProcessIdentity(boot=parts[0], namespace=int(parts[1]), pid=int(parts[2]), start=int(parts[3]))


def current() -> ProcessIdentity:
    """This process."""
    boot, namespace = _here()
    return ProcessIdentity(boot=boot, namespace=namespace, pid=os.getpid(), start=_start_of(os.getpid()) or 0)


def is_dead(owner: ProcessIdentity) -> bool:
    """True when that process has certainly ended; False when it lives or cannot be seen from here."""
    boot, namespace = _here()
    if owner.boot != boot:
        return True
    return owner.namespace == namespace and _start_of(owner.pid) != owner.start


@cache
def _here() -> tuple[str, int]:
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return boot, os.stat(PROC / "self/ns/pid").st_ino


def _start_of(pid: int) -> int | None:
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The command's name stands in parentheses and may hold anything; what follows it does not.
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else int(fields[19])
