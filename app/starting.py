"""A campaign begun in a process of its own, so that leaving the table, the page or the terminal ends nothing.

`start` waits for the campaign's row, passes on what the process says meanwhile, and ends it when nobody waits any more:
what was not seen to begin must not begin unattended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from move37.app.exits import BadInput, EnvironmentFault, Exit
from move37.app.models import TRIAL_SECONDS
from move37.app.reading import has_archive, reading
from move37.app.text import harmless
from move37.lab.archive.lock import HomeLock
from move37.lab.errors import ArchiveEmpty

SILENT = TRIAL_SECONDS + 120.0  # seconds without a word after which a start is given up: a trial call takes so long
ENDS_WITHIN = 5.0  # seconds after a first signal, which lets it put things in order; the second ends it at once
EVERY = 0.1  # seconds between two looks


def start(
    home: Path,
    command: str,
    flags: Mapping[str, Any],
    more: Sequence[str] = (),
    *,
    tell: Callable[[str], None] = lambda line: None,
) -> int:
    """Begin `command` (run or resume) in a process of its own; the campaign's number once it runs.

    `tell` gets the lines that the process says until then. Raises `EnvironmentFault` or `BadInput` with what it said,
    when it ends before its campaign begins, and `ArchiveBusy` when another one works in `home`.
    """
    home.mkdir(parents=True, exist_ok=True)
    HomeLock.acquire(home).release()  # before the text of a campaign that runs is begun anew
    before = _running_campaigns(home)
    said = home / "logs" / "session.txt"
    said.parent.mkdir(exist_ok=True)
    said.unlink(missing_ok=True)  # of two that start at once each writes its own
    with said.open("w+b") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "move37", "--home", str(home), command, *arguments(flags), *more],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # a closed terminal or a Ctrl-C there is not its own
        )
        try:
            return _begun(process, home, before, _Words(out), tell)
        except BaseException:  # Ctrl-C among them
            _end(process)
            raise


class _Words:
    """What a process has said, line by line, read beside it."""

    def __init__(self, out: IO[bytes]) -> None:
        self._descriptor = out.fileno()
        self._at = 0
        self.last = ""

    def new(self, *, ended: bool = False) -> list[str]:
        """The lines since the last call; one without its end only when the process has `ended`."""
        found = os.pread(self._descriptor, 1_000_000, self._at)
        whole = found if ended else found[: found.rfind(b"\n") + 1]
        self._at += len(whole)
        lines = [line for line in whole.decode("utf-8", errors="replace").splitlines() if line.strip()]
        self.last = lines[-1].strip() if lines else self.last
        return lines


def _begun(
    process: subprocess.Popen[bytes],
    home: Path,
    before: set[tuple[int, int]],
    words: _Words,
    tell: Callable[[str], None],
) -> int:
    heard = time.monotonic()
    while time.monotonic() - heard < SILENT:
        if begun := _running_campaigns(home) - before:
            return max(begun)[0]
        status = process.poll()
        new = words.new(ended=status is not None)
        if status is not None:
            why = words.last.removeprefix("move37: ") or f"it ended with status {status}"
            raise (BadInput if status == Exit.WRONG_USE else EnvironmentFault)(why)
        for line in new:
            heard = time.monotonic()
            tell(harmless(line))
        time.sleep(EVERY)
    raise EnvironmentFault(f"the campaign did not begin, and said nothing for {SILENT:.0f} s (before: {words.last})")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and wait, however impatient the user is."""
    try:
        for _ in range(2):  # it ends softly at a first signal and at once at a second, as at two Ctrl-C
            process.terminate()
            try:
                process.wait(ENDS_WITHIN)
                return
            except subprocess.TimeoutExpired:
                continue
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def arguments(flags: Mapping[str, Any]) -> list[str]:
    """Settings as the options that they came from: what `commands/options.py` put into tables is taken out. Pure."""
    flat = {name: value for name, value in flags.items() if name not in ("home", "docker", "scale")}
    flat |= dict(flags.get("docker", {}))
    flat |= {"scale": flags["scale"]["name"]} if "scale" in flags else {}
    named = [(name.replace("_", "-"), value) for name, value in flat.items()]
    switches = [f"--{name}" if value else f"--no-{name}" for name, value in named if isinstance(value, bool)]
    valued = [part for name, v in named if not isinstance(v, bool) for part in (f"--{name}", str(v))]
    return valued + switches


def _running_campaigns(home: Path) -> set[tuple[int, int]]:
    """(campaign, how often it was begun): a resumed one counts anew by its sessions."""
    if not has_archive(home):
        return set()
    try:
        with reading(home) as archive:
            return {(c.id, int(c.facts.get("sessions", 0))) for c in archive.campaigns() if c.status == "running"}
    except ArchiveEmpty:  # the process is creating it at this moment
        return set()
