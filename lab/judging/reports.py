"""What a gates job reported: lines -> raw measurements, and gates in which a process ended. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from move37.lab.gates.gate import RawMeasurement
from move37.lab.training.outcomes import fault
from move37.sandbox.job import MIB, Outcome, Status

LONGEST_SENTENCE, LONGEST_TRACEBACK = 300, 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A gate during which a process ended."""

    gate: str
    sentence: str  # how
    traceback: str  # of a hang; the end of standard error where the whole job ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """One job's reports. `started` is false when not even the first gate began: then the fault is ours."""

    raws: Mapping[str, RawMeasurement] = field(default_factory=dict)
    deaths: Mapping[str, Death] = field(default_factory=dict)
    started: bool = False
    whole: bool = False  # the job ended by itself
    exhausted: bool = False  # its time ended it: that of all processors, or of the wall on a busy machine
    missing: tuple[str, ...] = ()  # locks that the system does not have: the candidate could have touched these reports


def read_reports(outcome: Outcome) -> Reports:
    """Lines that are no reports are skipped. The job died in the gate that began and did not end."""
    raws: dict[str, RawMeasurement] = {}
    deaths: dict[str, Death] = {}
    missing: tuple[str, ...] = ()
    running, started, exhausted = "", False, outcome.status is Status.TIMED_OUT
    for line in outcome.stdout.splitlines():
        report = _parse(line)
        name = str(report.get("gate", ""))
        if isinstance(report.get("missing"), list):
            missing = tuple(str(lock) for lock in report["missing"])
        exhausted = exhausted or report.get("exhausted") is True
        if report.get("starts"):
            running, started = name, True
        elif name and name == running and "died" in report:
            words, traceback = str(report["died"]), str(report.get("traceback", ""))
            deaths[name] = Death(gate=name, sentence=words[:LONGEST_SENTENCE], traceback=traceback[:LONGEST_TRACEBACK])
            running = ""
        elif name and name == running and isinstance(report.get("raw"), dict):
            try:
                raws[name] = RawMeasurement.from_json(report["raw"])
            except (ValueError, TypeError, KeyError):
                continue
            running = ""
    if running:
        deaths[running] = _death(running, outcome)
    whole = outcome.status is Status.DONE
    return Reports(raws=raws, deaths=deaths, started=started, whole=whole, exhausted=exhausted, missing=missing)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        report = json.loads(line)
        # A candidate's words may hold half a surrogate, which nobody after this could store or send.
        report = json.loads(json.dumps(report, ensure_ascii=False).encode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}


def _death(gate: str, outcome: Outcome) -> Death:
    """A death of the whole job, the trusted process included: by its time or its memory."""
    errors = outcome.stderr.decode("utf-8", "replace").strip()
    if outcome.status is Status.TIMED_OUT:
        sentence = fault(outcome, doing="it")[0]
    elif outcome.status is Status.OUT_OF_MEMORY:
        sentence = f"it ran out of memory (peak {outcome.peak_memory_bytes // MIB} MiB)"
    else:
        sentence = f"it ended the job (exit status {outcome.exit_code})"
    return Death(gate=gate, sentence=sentence, traceback=errors[-LONGEST_TRACEBACK:])
