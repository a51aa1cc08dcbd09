"""Reads a job's outcome: the candidate's fault in one sentence, or the trusted process's report. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from move37.sandbox.job import MIB, Outcome, Status

LONGEST_TRACEBACK = 4000  # characters kept, from the end
LONGEST_SENTENCE = 300
REPORT = "report.json"
STARVED = 0.5  # of its time with a processor: a training alone on one keeps it busy
_TRACEBACK = re.compile(r"(?:Traceback|  \+ Exception Group Traceback) \(most recent call last\)")
_NOISE = ("Warning:", "warnings.warn", "resource_tracker", "was never awaited", "Exception ignored in")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """The report of the trusted process of a training or scoring job."""

    diverged: bool
    self_reported: bool  # a lock was missing, so that the candidate could have touched what this process wrote
    custom_backward: str  # what the candidate declares; its gradients were then not checked
    step: int = 0  # at which a training ended
    seconds: float = 0.0  # of the training loop, wall clock
    steps: int = 0  # in that time
    flops_per_token: float = 0.0  # 0: not counted
    peak_flops: float = 0.0  # a second, of the device; 0: unknown
    reads_ahead: str = ""  # how answers without the future differ; empty where they do not


def read_report(outcome: Outcome) -> TrainingReport | None:
    """None where the job left none that can be read."""
    try:
        said = json.loads(outcome.files[REPORT])
        return TrainingReport(
            diverged=bool(said["diverged"]),
            self_reported=bool(said["missing"]),
            custom_backward=str(said["custom_backward"]),
            step=int(said.get("step", 0)),
            seconds=float(said.get("seconds", 0.0)),
            steps=int(said.get("steps", 0)),
            flops_per_token=float(said.get("flops_per_token", 0.0)),
            peak_flops=float(said.get("peak_flops", 0.0)),
            reads_ahead=str(said.get("reads_ahead", "")),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def fault(outcome: Outcome, *, doing: str) -> tuple[str, str]:
    """What failed while `doing` ("training"), in one sentence, and the end of stderr. For outcomes without a result.

    A job that ended well without its result is the candidate's fault too: only its code can have left early.
    """
    errors = outcome.stderr.decode("utf-8", "replace").strip()
    traceback = errors[-LONGEST_TRACEBACK:]
    match outcome.status:
        case Status.TIMED_OUT:
            sentence = f"{doing} did not end within {outcome.wall_seconds:.0f} s"
            if starved(outcome):
                sentence += f", of which it had a processor for {outcome.cpu_seconds:.0f}"
        case Status.OUT_OF_MEMORY:
            sentence = f"{doing} ran out of memory (peak {outcome.peak_memory_bytes // MIB} MiB)"
        case Status.RESULTS_REFUSED:
            sentence = f"{doing} left results that were refused: {outcome.message}"
        case Status.DONE:
            sentence = f"{doing} ended without a result"
        case _:
            last = last_useful_line(errors) or outcome.message or f"exit status {outcome.exit_code}"
            sentence = f"{doing} failed: {last}"
    return sentence[:LONGEST_SENTENCE], traceback


def starved(outcome: Outcome) -> bool:
    """Whether a job's time ended while others had its processor; a job that sleeps looks the same."""
    return outcome.status is Status.TIMED_OUT and 0 < outcome.cpu_seconds < STARVED * outcome.wall_seconds


def last_useful_line(errors: str) -> str:
    """The exception of the last traceback, else the last line that is no warning; empty where there is none.

    Warnings of an interpreter that ends (unawaited coroutines, leaked semaphores) come after the reason.
    """
    lines = errors.splitlines()
    starts = [i for i, line in enumerate(lines) if _TRACEBACK.match(line)]
    if starts:
        # Of a group of exceptions its own message; its members follow, each behind a frame.
        rest = [line[4:] if line.startswith("  | ") else line for line in lines[starts[-1] + 1 :]]
        after = [line for line in rest if line.strip() and not line.startswith((" ", "\t", "|", "+-"))]
        if after:
            return after[0].strip()
    said = [line.strip() for line in lines if line.strip()]
    useful = [line for line in said if not any(word in line for word in _NOISE)]
    return (useful or said or [""])[-1]
