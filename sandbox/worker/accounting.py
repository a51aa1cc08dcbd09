"""What a job used, all its processes together, as the kernel's control group counts it; versions 1 and 2.

`Counters` reads one group's files through whatever reaches them; `Accounting` is one job's difference. Where there is
no group both say nothing, and the caller falls back on the job's first process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from move37.sandbox.worker.wire import Spec

Read = Callable[[str, str], str]  # (controller, file) -> its text; empty when there is none
SOCKETS = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6")
SUMS = ("sockstat", "sockstat6")


class Counters:
    """One group."""

    def __init__(self, version: int, read: Read) -> None:
        self._second = version == 2
        self._read = read

    def kills(self) -> int:
        """Of processes, for memory, so far."""
        return self._word("memory", "memory.events" if self._second else "memory.oom_control", "oom_kill") or 0

    def cpu_seconds(self) -> float | None:
        if self._second:
            # Of the group itself, in the one folder that it has: it is counted without the controller that limits it.
            microseconds = self._word("memory", "cpu.stat", "usage_usec")
            return None if microseconds is None else microseconds / 1e6
        nanoseconds = self._number("cpuacct", "cpuacct.usage")
        return None if nanoseconds is None else nanoseconds / 1e9

    def memory_bytes(self) -> int | None:
        """Now; in version 1 without what sockets hold."""
        return self._number("memory", "memory.current" if self._second else "memory.usage_in_bytes")

    def most_memory_bytes(self) -> int | None:
        """At any time so far."""
        return self._number("memory", "memory.peak" if self._second else "memory.max_usage_in_bytes")

    def _number(self, controller: str, name: str) -> int | None:
        text = self._read(controller, name).strip()
        return int(text) if text.isdigit() else None

    def _word(self, controller: str, name: str, key: str) -> int | None:
        words = self._read(controller, name).split()
        return int(words[words.index(key) + 1]) if key in words else None


class Accounting:
    """One job, from `begin` to `usage`; `sample` in between."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.begin()

    def begin(self) -> None:
        """A job starts: what stands now is not its own."""
        self._kills = self.counters.kills()
        self._cpu = self.counters.cpu_seconds()
        self._held = self.counters.memory_bytes()
        self._most = self.counters.most_memory_bytes()
        self._sampled = 0

    def sample(self) -> int:
        """Bytes that the job holds now; 0 without a control group."""
        now = self.counters.memory_bytes()
        if now is None or self._held is None:
            return 0
        self._sampled = max(self._sampled, now - self._held)
        return now - self._held

    def usage(self, *, own_cpu_seconds: float = 0.0) -> Spec:
        """Of the job that has ended; `own_cpu_seconds` were the supervisor's, in the same group."""
        found: Spec = {"out_of_memory": self.counters.kills() > self._kills}
        cpu = self.counters.cpu_seconds()
        if cpu is not None and self._cpu is not None:
            found["cpu_seconds"] = max(0.0, cpu - self._cpu - own_cpu_seconds)
        self.sample()
        most = self.counters.most_memory_bytes()
        if most is not None and self._most is not None and self._held is not None:
            # The mark only rises: below an older one the samples are all there is.
            peak = most - self._held if most > self._most else 0
            found["peak_memory_bytes"] = max(peak, self._sampled, 0)
        return found


def container_counters() -> Counters:
    """Of the container that this process is in, as its own mount of the control groups shows them."""
    base = Path("/sys/fs/cgroup")
    version = 2 if (base / "cgroup.controllers").exists() else 1

    def read(controller: str, name: str) -> str:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (base / name if version == 2 else base / controller / name).read_text()
        return ""

    return Counters(version, read)


def socket_bytes(folder: Path) -> int:
    """What waits in the sockets of a network namespace, sent and not read; `folder` is a /proc/PID/net of it.

    For version 1 of the control groups, whose memory limit does not know of sockets.
    """
    if _no_sockets(folder):  # the tables cost a hundred times more to read, twenty times a second
        return 0
    total = 0
    for kind in SOCKETS:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in (folder / kind).read_text().splitlines()[1:]:
                sent, _, received = line.split()[4].partition(":")
                total += int(sent, 16) + int(received, 16)
    return total


def _no_sockets(folder: Path) -> bool:
    """Whether the kernel counts no socket; False where it cannot be read."""
    try:
        lines = [line.split() for name in SUMS for line in (folder / name).read_text().splitlines()]
    except (OSError, UnicodeDecodeError):
        return False
    counts = [line[line.index("inuse") + 1] for line in lines if "inuse" in line]
    return bool(counts) and all(count == "0" for count in counts)
