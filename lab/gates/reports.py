"""What a gates job said, read with suspicion: report lines -> readings, and the gate during which it died. Pure."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from move37.lab.gates.gate import Reading
from move37.lab.training.contract import FILE_NAME
from move37.sandbox.job import MIB, Outcome, Status

LONGEST_TRACEBACK = 4000
WATCHDOG = 128 + signal.SIGPROF  # exit status of a process that the watchdog of entry.py ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A gate during which the process ended."""

    gate: str
    sentence: str  # how
    traceback: str  # of a hang; the end of standard error otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """One job's reports. `started` is false when not even the first gate began: then the fault is ours."""

    readings: Mapping[str, Reading] = field(default_factory=dict)
    death: Death | None = None
    started: bool = False


def read_reports(outcome: Outcome, *, seconds: float) -> Reports:
    """Lines that are no reports are skipped: the candidate shares the process and may write what it likes."""
    readings: dict[str, Reading] = {}
    running, started = "", False
    for line in outcome.stdout.splitlines():
        report = _parse(line)
        name = str(report.get("gate", ""))
        if report.get("starts"):
            running, started = name, True
        elif name and name == running and isinstance(report.get("reading"), dict):
            try:
                readings[name] = Reading.from_json(report["reading"])
            except (ValueError, TypeError, KeyError):
                continue
            running = ""
    death = _death(running, outcome, seconds) if running else None
    return Reports(readings=readings, death=death, started=started)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        report = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}


def _death(gate: str, outcome: Outcome, seconds: float) -> Death:
    errors = outcome.stderr.decode("utf-8", "replace").strip()
    if outcome.status is Status.TIMED_OUT or "Timeout (" in errors or outcome.exit_code == WATCHDOG:
        sentence = f"it did not end within {seconds:.0f} s of CPU time"
    elif outcome.status is Status.OUT_OF_MEMORY:
        sentence = f"it ran out of memory (peak {outcome.peak_memory_bytes // MIB} MiB)"
    else:
        sentence = f"it ended the process (exit status {outcome.exit_code})"
    return Death(gate=gate, sentence=sentence, traceback=_own_frames(errors))


def _own_frames(errors: str) -> str:
    """The candidate's lines of a watchdog's dump, or else the end of what was written."""
    frames = [line for line in errors.splitlines() if f'"{FILE_NAME}"' in line]
    return "\n".join(frames[:20]) if frames else errors[-LONGEST_TRACEBACK:]
