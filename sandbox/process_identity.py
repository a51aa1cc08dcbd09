"""Who holds a thing that outlives a crash (a container's label, a GPU's lease), and whether that process still lives.

A process number alone is reused after a while; with the time it started it is not. Number and time mean something only
in one process namespace of one boot of one machine, so all are part of the name: a daemon may serve several machines.
About strangers we say that we do not know. Without /proc (macOS) only a number that nobody has is certain.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

PROC = Path("/proc")
MACHINE_ID = Path("/etc/machine-id")
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process on one machine."""

    machine: str  # empty in names that were written before it was part of them
    boot: str  # the kernel's boot id: another one on the same machine means that it has restarted since
    namespace: int  # inode of the process namespace
    pid: int
    start: int  # in clock ticks after boot

    def __str__(self) -> str:
        return f"{self.machine}/{self.boot}/{self.namespace}/{self.pid}/{self.start}"


def parse(text: str) -> ProcessIdentity | None:
    """The owner that `str` wrote, now or before machines were part of it; None for anything else."""
    parts = text.split("/")
    numbers = parts[-3:]
    if len(parts) not in (4, 5) or not all(part.isascii() and part.isdecimal() for part in numbers):
        return None
    namespace, pid, start = map(int, numbers)
    machine = parts[0] if len(parts) == 5 else ""
    return ProcessIdentity(machine=machine, boot=parts[-4], namespace=namespace, pid=pid, start=start)


def current() -> ProcessIdentity:
    """This process."""
    boot, namespace = _here()
    start = _start_of(os.getpid()) or 0
    return ProcessIdentity(machine=_machine(), boot=boot, namespace=namespace, pid=os.getpid(), start=start)


def is_dead(owner: ProcessIdentity, *, local: bool = False) -> bool:
    """True when that process has certainly ended; False when it lives or cannot be seen from here.

    `local`: the name stands where only this machine writes, whatever it was called then.
    """
    boot, namespace = _here()
    same_machine = local or owner.machine == _machine()
    if UNKNOWN in (boot, owner.boot):
        return same_machine and owner.boot == boot and not _is_taken(owner.pid)
    if owner.boot != boot:
        return same_machine
    return owner.namespace == namespace and _start_of(owner.pid) != owner.start


@cache
def _here() -> tuple[str, int]:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return boot, os.stat(PROC / "self/ns/pid").st_ino
    except OSError:
        return UNKNOWN, 0


@cache
def _machine() -> str:
    """Of its id and its name, both: images are copied with the one, and networks give the other."""
    try:
        number = MACHINE_ID.read_text().strip()
    except OSError:
        number = ""
    return sha256(f"{number}/{socket.gethostname()}".encode()).hexdigest()[:16]


def _is_taken(pid: int) -> bool:
    """Whether a process has this number, whoever it is."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _start_of(pid: int) -> int | None:
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The command's name stands in parentheses and may hold anything; what follows it does not.
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else int(fields[19])
