"""What goes into the sandbox and what comes out: `Job` -> `Outcome`.

Read in this order: `Limits` (what a job may use), `Job` (what is to run), `Status` and `Outcome` (what happened).
Everything here is plain data: no backend, no clock, no file. A job that fails, hangs or is killed is an
`Outcome`; an exception from `move37.sandbox.errors` means that the sandbox itself broke.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

MIB = 1024 * 1024
LEFT_OUT_NAMED = 5  # in one line

Stream = Literal["stdout", "stderr"]
OnOutput = Callable[[Stream, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one job may use; every backend enforces what it can and lists what it cannot."""

    wall_seconds: float = 60.0  # enforced from outside the job, whether or not anybody reads its output
    memory_bytes: int = 2048 * MIB  # all processes of the job together, /dev/shm and sockets too, no swap
    pids: int = 128  # processes and threads
    disk_bytes: int = 512 * MIB  # everything that the job may write
    file_bytes: int = 512 * MIB  # one file
    output_bytes: int = 16 * MIB  # stdout and stderr together; the rest is drained and dropped
    result_bytes: int = 64 * MIB  # all collected files together
    threads: int = 1  # OMP_NUM_THREADS and torch threads; also the cpu quota in cores
    gpus: int = 0  # exclusive devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One program to run. Jobs with the same `trust` may share a container; others never do."""

    id: str  # unique; appears in logs and labels
    trust: str  # the candidate (or the single `exec`) that this code belongs to
    argv: tuple[str, ...]  # ("python", "main.py", ...) runs in the warm interpreter; anything else is executed
    files: Mapping[str, bytes] = field(default_factory=dict)  # relative path -> content, read-only, the cwd of the job
    env: Mapping[str, str] = field(default_factory=dict)  # added to a minimal environment; nothing is inherited
    collect: tuple[str, ...] = ()  # names in $MOVE37_OUT to bring back; "*" means every regular file, and "./" before a
    # name means the job's own folder: what it made there and, if they are writable, the files that were sent
    writable: bool = False  # the files may be changed by the job
    executables: frozenset[str] = frozenset()  # names of files that may be executed
    stdin: bytes = b""  # what the program reads on standard input, all of it known before it starts
    limits: Limits = field(default_factory=Limits)


class Status(StrEnum):
    """How a job ended."""

    DONE = "done"  # exit status 0
    FAILED = "failed"  # any other exit status, or a signal of its own making
    TIMED_OUT = "timed_out"  # the wall-clock limit, enforced from outside
    OUT_OF_MEMORY = "out_of_memory"  # killed for memory
    RESULTS_REFUSED = "results_refused"  # a file that was asked for by its very name broke a rule; the rest is here
    CANCELLED = "cancelled"  # the caller cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a job did. `files` are bytes to be checked, never to be unpickled."""

    job: str
    status: Status
    exit_code: int  # the program's own; 124 timed out, 137 out of memory
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False  # output passed its limit and was cut
    files: Mapping[str, bytes] = field(default_factory=dict)  # name in $MOVE37_OUT -> content
    executables: frozenset[str] = frozenset()  # names of files that had an executable bit
    left_out: Mapping[str, str] = field(default_factory=dict)  # printable name of a file that matched -> why it is not
    # here ("is a link"); a hundred of them at most
    left_out_count: int = 0  # of all of them
    wall_seconds: float = 0.0  # measured outside the job
    cpu_seconds: float = 0.0  # of all its processes, as the kernel counted them
    peak_memory_bytes: int = 0  # 0 where the backend cannot tell
    backend: str = ""  # "docker", "docker+runsc", "process"
    image: str = ""  # digest of the image; empty without one
    message: str = ""  # one sentence for the user when status is not DONE


def lost_results(job: Job) -> dict[str, str]:
    """What is left out of the outcome of a job whose sandbox ended with it: all that it asked for, and was not seen."""
    return {"all results": "the sandbox was killed with it"} if job.collect else {}


def left_out_words(outcome: Outcome) -> str:
    """One line for the user about results that did not come back; empty when all did."""
    if not outcome.left_out_count:
        return ""
    named = [f"{name} ({why})" for name, why in list(outcome.left_out.items())[:LEFT_OUT_NAMED]]
    more = outcome.left_out_count - len(named)
    return f"Not returned: {', '.join(named)}" + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """One line of what `move37 doctor` lists about a backend."""

    name: str  # e.g. "network namespace"
    active: bool
    detail: str  # what it stops, or why it is not active here
