"""The log of a search loop as a table: a run a line, with `status` and a loss. Pure.

Read `read_log`. What stands where a number or a known status is due is kept beside the run, so that it can be told.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass

from move37.lab.archive.codec import storable
from move37.lab.audit.programs import json_lines, text_of
from move37.lab.errors import BadCandidate

RISING = ("score", "accuracy", "acc", "val_accuracy", "val_acc")  # higher is better
VALUES = ("val_bpb", "bpb", "val_loss", "loss", "metric", "value", *RISING)
KEPT = ("keep", "kept", "baseline", "best", "accepted", "accept", "yes", "true", "1")
CRASHED = ("crash", "fail", "error", "oom", "timeout", "timed out", "killed")  # parts of a status
DISCARDED = (
    "discard", "discarded", "reject", "rejected", "revert", "reverted", "drop", "dropped", "no", "false", "0",
)  # fmt: skip
LARGEST = 1e100  # of a run that did not explode


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """One line of the log."""

    name: str
    value: float  # NaN where it crashed
    kept: bool
    unread: str = ""  # what stands where its number is due, of a run that did not crash
    unknown: str = ""  # its status, where it is none that this reads; such a run counts as discarded


def decoded(data: bytes) -> str:
    """A log's text: UTF-8, UTF-16 with a byte order mark, or else Latin-1."""
    try:
        return text_of(data)
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_log(text: str) -> tuple[LoggedRun, ...]:
    """The runs of a table with a head, separated by tabs, commas, semicolons or bars, or of objects, one a line.

    Raises `BadCandidate` in one line.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        rows = _objects(text) if text.lstrip()[:1] in ("{", "[") else _table(text)
    except csv.Error as error:
        raise BadCandidate(f"the log is no table ({error}): give one with a head, a run a line") from error
    names = list(dict.fromkeys(name for row in rows for name in row))
    column = next((n for n in VALUES if n in names), None)
    if column is None or "status" not in names:
        raise BadCandidate(
            f"the log needs a head with `status` and one of {', '.join(VALUES)}: found {', '.join(names) or 'nothing'}"
        )
    runs = [_run(cells, column, number) for number, cells in enumerate(rows, start=1)]
    if not any(math.isfinite(r.value) for r in runs):
        raise BadCandidate(f"the log holds no run with a number under `{column}`")
    return tuple(runs)


def _run(cells: dict[str, str], column: str, number: int) -> LoggedRun:
    status, written = cells.get("status", "").lower(), cells.get(column, "")
    rising, value = column in RISING, _number(written)
    crashed = any(word in status for word in CRASHED) or (value == 0.0 and not rising)  # loops write 0 for a crash
    unread = written if not (crashed or math.isfinite(value) or _is_number(written)) else ""
    known = crashed or status in KEPT or status in DISCARDED
    name = cells.get("description") or cells.get("commit") or f"run {number}"
    value = math.nan if crashed else -value if rising else value
    return LoggedRun(
        name=storable(name[:120]), value=value, kept=status in KEPT and math.isfinite(value),
        unread=storable(unread[:40]), unknown="" if known else storable(status[:40]) or "none",
    )  # fmt: skip


def _table(text: str) -> list[dict[str, str]]:
    text = text.lstrip("\n\r ")
    first = text.splitlines()[0] if text.strip() else ""
    delimiter = max("\t,;|", key=first.count)
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    if any(_swallows(cell, delimiter, first.count(delimiter)) for row in rows for cell in row):
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter, quoting=csv.QUOTE_NONE))
    head, *lines = ([cell.strip() for cell in row] for row in rows if row) if rows else [[]]
    names = [name.lower() for name in head]
    found = [
        {**dict.fromkeys(names, ""), **dict(zip(names, line, strict=False))}
        for line in lines
        if any(cell.strip("-: ") for cell in line)  # not the rule below a Markdown table's head
    ]
    return found or [dict.fromkeys(names, "")]


def _swallows(cell: str, delimiter: str, most: int) -> bool:
    """Whether a cell holds whole rows, because a quotation mark in a description was never closed."""
    return any(line.count(delimiter) >= max(1, most - 1) for line in cell.split("\n")[1:])


def _objects(text: str) -> list[dict[str, str]]:
    """Rows as JSON: a list of objects, or one a line."""
    try:
        whole = json.loads(text)
        values = whole if isinstance(whole, list) else [whole]
    except (ValueError, RecursionError):
        values = list(json_lines(text))
    return [
        {str(k).strip().lower(): "" if v is None else str(v).strip() for k, v in value.items()}
        for value in values
        if isinstance(value, dict)
    ]


def _is_number(text: str) -> bool:
    """Also NaN and infinity, which say that a run exploded."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str) -> float:
    """NaN also for what no loss is: differences of such numbers would be infinite."""
    try:
        found = float(text)
    except ValueError:
        return math.nan
    return found if abs(found) < LARGEST else math.nan
