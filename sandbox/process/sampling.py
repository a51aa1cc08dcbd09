"""What the processes of a job hold and use, as /proc shows it: where no control group counts for all of them.

`Samples` is one job's, looked at every 50 ms. A child whose parent ignores its end is in nobody's sums; what it had
used when it was last seen is here. Not covered: a child that lives shorter than the pause between two looks and that
nobody waits for.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

OWN, WAITED_FOR = slice(11, 13), slice(13, 15)  # fields of /proc/PID/stat behind the name, in clock ticks


class Samples:
    """From the start of a job to its end; `forked_from` is the process whose memory its own starts as."""

    def __init__(self, forked_from: int) -> None:
        self._forked_from = forked_from
        self.most_bytes = 0  # of private memory, all processes together, at any look so far
        self._seconds: dict[int, float] = {}
        self._seconds_before = 0.0  # of processes whose number has another owner by now

    def look(self, pids: Iterable[int]) -> None:
        """Once more at the processes that are there now."""
        pids = list(pids)
        if sum(map(resident, pids)) > self.most_bytes:
            self.most_bytes = max(self.most_bytes, sum(private(pid, self._forked_from) for pid in pids))
        for pid in pids:
            now, before = processor_seconds(pid, OWN), self._seconds.get(pid, 0.0)
            if 0.0 < now < before:
                self._seconds_before += before
            self._seconds[pid] = now or before

    @property
    def cpu_seconds(self) -> float:
        """Of every process that was ever seen, until it was seen last."""
        return self._seconds_before + sum(self._seconds.values())


def resident(pid: int) -> int:
    """Bytes of memory that a process holds, shared ones included; 0 when it is gone."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def processor_seconds(pid: int, *parts: slice) -> float:
    """Of a process itself (`OWN`), of those that it has waited for (`WAITED_FOR`); 0 when it is gone."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(sum(map(int, fields[part])) for part in parts) / os.sysconf("SC_CLK_TCK")
    return 0.0


def anonymous(pid: int) -> int:
    """Bytes of memory that no file backs, those among them that it shares with who forked it; 0 when it is gone."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        held, backed = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
        return (held - backed) * os.sysconf("SC_PAGE_SIZE")
    return 0


def private(pid: int, forked_from: int) -> int:
    """Bytes of private memory: what a fork of the zygote has written to itself."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))
    except PermissionError:  # a process may close this page, and must not be free of its limit then
        return max(0, anonymous(pid) - anonymous(forked_from))
    except (OSError, ValueError):
        return 0
