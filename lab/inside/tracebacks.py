"""The candidate's own exception, cut down to what its author can use. Beside the candidate; standard library only."""

from __future__ import annotations

import traceback

from move37.lab.training.contract import FILE_NAME, ContractError

LONGEST = 4000  # characters of a traceback, from the end


def one_line(error: BaseException) -> str:
    """Type and message on one line."""
    try:
        words = " ".join(str(error).split())[:600]
    except Exception:  # the candidate's own class, whose __str__ is broken
        words = ""
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    if isinstance(error, ContractError):
        return words + notes
    return f"{type(error).__name__}: {words}{notes}" if words else type(error).__name__ + notes


def frames_of(error: BaseException) -> str:
    """The traceback's frames within the candidate's file and the exception; of a contract error, its cause's."""
    if isinstance(error, ContractError):
        return frames_of(error.__cause__) if error.__cause__ is not None else ""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE_NAME]
    lines = ["Traceback (most recent call last):\n"] if frames else []
    lines += traceback.format_list(frames[-20:])
    lines += traceback.format_exception_only(error)
    return "".join(lines)[-LONGEST:]
