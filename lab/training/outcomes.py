"""A job's outcome as the candidate's fault: one sentence, and the traceback to act on. Pure."""

from __future__ import annotations

from move37.sandbox.job import MIB, Outcome, Status

LONGEST_TRACEBACK = 4000  # characters kept, from the end
LONGEST_SENTENCE = 300


def fault(outcome: Outcome, *, doing: str) -> tuple[str, str]:
    """What went wrong while `doing` ("training"), and the end of stderr. For outcomes that gave nothing usable.

    A job that ended well without its result is the candidate's fault too: only its code can have left early.
    """
    errors = outcome.stderr.decode("utf-8", "replace").strip()
    traceback = errors[-LONGEST_TRACEBACK:]
    match outcome.status:
        case Status.TIMED_OUT:
            sentence = f"{doing} did not end within {outcome.wall_seconds:.0f} s"
        case Status.OUT_OF_MEMORY:
            sentence = f"{doing} ran out of memory (peak {outcome.peak_memory_bytes // MIB} MiB)"
        case Status.RESULTS_REFUSED:
            sentence = f"{doing} left results that were refused: {outcome.message}"
        case Status.DONE:
            sentence = f"{doing} ended without a result"
        case _:
            last = errors.splitlines()[-1] if errors else outcome.message or f"exit status {outcome.exit_code}"
            sentence = f"{doing} failed: {last}"
    return sentence[:LONGEST_SENTENCE], traceback
