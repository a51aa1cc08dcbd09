"""A control group for one zygote's jobs: memory without swap, processes, processor quota; versions 1 and 2.

`Cgroup.make` is called by the launcher, which sees the host's /sys/fs/cgroup and removes the group at the end; the
supervisor reaches it later through open directories, since its own view of the file system has no /sys. Jobs of one
zygote follow each other, so one group with new limits for each job does. What is counted is read in
`worker/accounting`. Standard library only.

Not covered: a cgroup per process of a job; the io controller.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from move37.sandbox.worker.accounting import Counters

ROOT = Path("/sys/fs/cgroup")
PREFIX = "move37-"
PERIOD = 100_000  # microseconds
WANTED = ("memory", "pids", "cpu")


class Cgroup:
    """Open directories of one group, by controller. Empty where nothing may be made."""

    def __init__(self, folders: dict[str, Path], version: int) -> None:
        self.version = version
        self._paths = folders
        self._open = {name: os.open(path, os.O_RDONLY | os.O_DIRECTORY) for name, path in folders.items()}
        self.counters = Counters(version, self._read)

    @classmethod
    def make(cls, name: str) -> tuple[Cgroup, str]:
        """The group, and a sentence about what could not be had."""
        if (ROOT / "cgroup.controllers").exists():
            folders, reason = _make_unified(name)
            return cls(folders, 2), reason
        folders = {}
        reason = ""
        for controller in (*WANTED, "cpuacct"):
            try:
                folder = ROOT / controller / f"{PREFIX}{name}"
                if _is_one_of(folder, folders.values()):  # cpu and cpuacct are often one mount with two names
                    folders[controller] = folder
                    continue
                folder.mkdir()
                if not (folder / "cgroup.procs").exists():  # a plain folder where no controller is mounted
                    folder.rmdir()
                    raise OSError(errno.ENODEV, "not mounted")
                folders[controller] = folder
            except OSError as error:
                reason = f"{controller}: {error.strerror}"
        return cls(folders, 1), reason

    @property
    def counts_memory(self) -> bool:
        return "memory" in self._open

    @property
    def counts_processes(self) -> bool:
        return "pids" in self._open

    def limit(self, *, memory_bytes: int, pids: int, cores: float) -> None:
        """New limits for the next job. Raises `OSError`."""
        if self.version == 2:
            self._write("memory", "memory.max", memory_bytes)
            self._write("memory", "memory.swap.max", 0, optional=True)
            self._write("memory", "memory.peak", "reset", optional=True)
            self._write("cpu", "cpu.max", f"{int(cores * PERIOD)} {PERIOD}")
        else:
            # The two are ordered: the plain limit may never be above the one with swap.
            self._write("memory", "memory.memsw.limit_in_bytes", -1, optional=True)
            self._write("memory", "memory.limit_in_bytes", memory_bytes)
            self._write("memory", "memory.memsw.limit_in_bytes", memory_bytes, optional=True)
            self._write("memory", "memory.max_usage_in_bytes", 0, optional=True)
            # Sockets have a limit of their own in version 1; what both together hold is watched.
            self._write("memory", "memory.kmem.tcp.limit_in_bytes", memory_bytes, optional=True)
            self._write("cpu", "cpu.cfs_period_us", PERIOD)
            self._write("cpu", "cpu.cfs_quota_us", int(cores * PERIOD))
        self._write("pids", "pids.max", pids)

    def admit(self, pid: int) -> None:
        """Put a process into the group (its number as the caller sees it)."""
        folders = {0: self._open.get("memory")} if self.version == 2 else self._open
        for descriptor in folders.values():
            if descriptor is not None:
                with os.fdopen(os.open("cgroup.procs", os.O_WRONLY, dir_fd=descriptor), "w") as stream:
                    stream.write(str(pid))

    def remove(self) -> None:
        """Idempotent; the group must be empty."""
        for descriptor in self._open.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._open = {}
        for path in set(self._paths.values()):
            with contextlib.suppress(OSError):
                path.rmdir()

    def _write(self, controller: str, name: str, value: object, *, optional: bool = False) -> None:
        if controller not in self._open:
            return
        try:
            with os.fdopen(os.open(name, os.O_WRONLY, dir_fd=self._open[controller]), "w") as stream:
                stream.write(str(value))
        except OSError:
            if not optional:
                raise

    def _read(self, controller: str, name: str) -> str:
        if controller in self._open:
            with (
                contextlib.suppress(OSError),
                open(os.open(name, os.O_RDONLY, dir_fd=self._open[controller])) as stream,
            ):
                return stream.read()
        return ""


def _is_one_of(folder: Path, others: Iterable[Path]) -> bool:
    return folder.is_dir() and any(folder.samefile(other) for other in others)


def _make_unified(name: str) -> tuple[dict[str, Path], str]:
    """Version 2: under our own group's parent (a user's own slice is theirs), or at the top as root."""
    reason = "no cgroup of this user's own to make one in"
    for parent in _parents():
        folder = parent / f"{PREFIX}{name}"
        try:
            with contextlib.suppress(OSError):
                (parent / "cgroup.subtree_control").write_text(" ".join(f"+{part}" for part in WANTED))
            enabled = (parent / "cgroup.subtree_control").read_text().split()
            if "memory" not in enabled:
                continue
            folder.mkdir()
            _try_to_enter(folder)
            return {part: folder for part in WANTED if part in enabled}, ""
        except OSError as error:
            reason = error.strerror or str(error)
            with contextlib.suppress(OSError):
                folder.rmdir()
    return {}, reason


def _try_to_enter(folder: Path) -> None:
    """Making a group is not enough: moving into it needs rights on the common ancestor."""
    pid = os.fork()
    if pid == 0:
        try:
            (folder / "cgroup.procs").write_text("0")
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise OSError(1, "a cgroup can be made but not entered")


def _parents() -> Iterator[Path]:
    own = ""
    with contextlib.suppress(OSError):
        own = Path("/proc/self/cgroup").read_text().strip().split("::")[-1].strip("/")
    if own:
        yield (ROOT / own).parent
        yield ROOT / own
    yield ROOT


def sweep(is_held: Callable[[str], bool]) -> int:
    """Remove empty groups of names that nobody holds; how many. Raises `OSError`."""
    removed = 0
    folders = [ROOT, *(ROOT / name for name in (*WANTED, "cpuacct")), *_parents()]
    for folder in dict.fromkeys(folders):
        for path in folder.glob(f"{PREFIX}*"):
            if not is_held(path.name.removeprefix(PREFIX)):
                with contextlib.suppress(OSError):
                    path.rmdir()
                    removed += 1
    return removed
