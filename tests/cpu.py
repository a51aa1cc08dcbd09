"""Where the tests' processor time goes: `python -m pytest -p tests.cpu tests/lab` prints CPU seconds a file.

Every process below pytest counts, also those that no one waits for: another process looks at /proc while tests run.
CPU seconds hardly depend on what else the machine does, wall-clock seconds do. Linux, one pytest process (no xdist).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

EVERY = 0.4  # seconds between two looks; a process that lives shorter may be missed
SHOWN = 25


def processes() -> dict[tuple[int, str], tuple[int, float]]:
    """(pid, start) -> (parent, CPU seconds so far) of every process."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split() if entry.isdigit() else []
        except OSError:  # it has ended
            continue
        if fields:
            seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            found[int(entry), fields[19]] = (int(fields[1]), seconds)
    return found


def watch(root: int, out: Path) -> None:
    """Write "time seconds" of all that is or was below `root`, until it ends."""
    ours = {root}
    last: dict[tuple[int, str], float] = {}
    with out.open("w", buffering=1) as file:
        while (now := processes()) and any(pid == root for pid, _ in now):
            grown = True
            while grown:
                more = {pid for (pid, _), (parent, _) in now.items() if parent in ours} - ours - {os.getpid()}
                grown, ours = bool(more), ours | more
            last |= {key: seconds for key, (_, seconds) in now.items() if key[0] in ours}
            ours &= {pid for pid, _ in now}
            file.write(f"{time.time():.2f} {sum(last.values()):.2f}\n")
            time.sleep(EVERY)


class Usage:
    """The plugin's memory of one session."""

    def __init__(self) -> None:
        self.samples = Path(tempfile.mkstemp(prefix="move37-cpu-")[1])
        self.spans: list[tuple[str, float, float]] = []
        command = [sys.executable, __file__, str(os.getpid()), str(self.samples)]
        self.watcher = subprocess.Popen(command, start_new_session=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Generator[None, object, object]:
        began = time.time()
        result = yield
        self.spans.append((item.nodeid.partition("::")[0], began, time.time()))
        return result

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        time.sleep(2 * EVERY)
        self.watcher.terminate()
        self.watcher.wait()
        rows = [tuple(map(float, line.split())) for line in self.samples.read_text().splitlines() if " " in line]
        self.samples.unlink()
        times, totals = [row[0] for row in rows], [row[1] for row in rows]
        files: dict[str, float] = defaultdict(float)
        for file, began, ended in self.spans:
            first, last = (min(bisect(times, at), len(times) - 1) for at in (began, ended))
            files[file] += totals[last] - totals[first]
        terminalreporter.section(f"CPU seconds: {totals[-1]:.1f}, of them in tests {sum(files.values()):.1f}")
        for file, seconds in sorted(files.items(), key=lambda item: -item[1])[:SHOWN]:
            terminalreporter.write_line(f"{seconds:7.1f} {file}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Usage())


if __name__ == "__main__":
    watch(int(sys.argv[1]), Path(sys.argv[2]))
