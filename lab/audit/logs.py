"""The log of a search loop that keeps what is better: how many of the kept gains survive a correction. Pure.

Read `audit_log`. Each kept run is compared with the best before it, as the loop compared it, at the noise of one run;
Holm's correction counts all runs that were tried, because each of them could have been kept. The noise is given, or
bounded from above by the scatter of discarded runs: then what does not survive may still be real, and it is said.
"""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from move37.lab.archive.codec import storable
from move37.lab.audit.programs import json_lines, text_of
from move37.lab.errors import BadCandidate
from move37.lab.statistics.many import expected_records, luck
from move37.lab.statistics.summaries import survivors

VALUES = ("val_bpb", "bpb", "val_loss", "loss", "metric", "value", "score")
RISING = ("score", "accuracy", "acc")  # higher is better
KEPT = ("keep", "kept", "baseline", "best", "accepted", "accept", "yes", "true", "1")
LARGEST = 1e100  # of a run that did not explode
LEAST_DISCARDED = 5  # runs from which a scatter may be read


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """One line of the log."""

    name: str
    value: float  # NaN where it crashed
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A kept run against the best before it."""

    name: str
    gain: float  # positive is better
    p: float  # of as large a gain without any effect
    survives: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAudit:
    """What the log supports."""

    runs: int
    crashed: int
    kept: int
    expected_by_luck: float  # runs that the rule keeps of as many worthless ones
    luck: float  # gain that the best of them would show
    gain: float  # from the first run to the best
    noise: float | None  # standard deviation of one run
    estimated: bool  # from the discarded runs, so from above
    gains: tuple[Gain, ...]

    @property
    def survive(self) -> int:
        """Kept gains that a correction for all runs leaves."""
        return sum(g.survives for g in self.gains)


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
    sign = -1.0 if column in RISING else 1.0
    runs = []
    for number, cells in enumerate(rows, start=1):
        status = cells.get("status", "").lower()
        crashed = "crash" in status or "fail" in status
        value = math.nan if crashed else sign * _number(cells.get(column, ""))
        name = cells.get("description") or cells.get("commit") or f"run {number}"
        runs.append(LoggedRun(name=storable(name[:120]), value=value, kept=status in KEPT and math.isfinite(value)))
    if not any(math.isfinite(r.value) for r in runs):
        raise BadCandidate(f"the log holds no run with a number under `{column}`")
    return tuple(runs)


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


def audit_log(runs: Sequence[LoggedRun], *, noise: float | None = None) -> LogAudit:
    """Which kept gains survive; `noise` is the standard deviation of one run, in the metric's unit."""
    sound = [r for r in runs if math.isfinite(r.value)]
    estimated = noise is None
    sd = _scatter(sound) if noise is None else noise
    best, steps = sound[0].value, []
    for run in sound[1:]:
        steps.append((run, best - run.value))
        if run.kept:
            best = min(best, run.value)
    gains: tuple[Gain, ...] = ()
    if sd is not None and sd > 0.0 and steps:
        p_values = [float(special.ndtr(-gain / (sd * math.sqrt(2)))) for _, gain in steps]
        left = survivors(p_values)
        gains = tuple(
            Gain(name=run.name, gain=gain, p=p, survives=survives)
            for (run, gain), p, survives in zip(steps, p_values, left, strict=True)
            if run.kept
        )
    return LogAudit(
        runs=len(runs),
        crashed=len(runs) - len(sound),
        kept=sum(r.kept for r in sound[1:]),
        expected_by_luck=expected_records(len(sound)) - 1.0,
        luck=luck(len(sound), sd) if sd else 0.0,
        gain=sound[0].value - min(r.value for r in sound),
        noise=sd,
        estimated=estimated,
        gains=gains,
    )


def log_text(found: LogAudit) -> str:
    """What it says, in a few sentences."""
    told = (
        f"{found.runs} runs, {found.crashed} crashed, {found.kept} kept after the first; the gain is {found.gain:.4g}."
    )
    told += f" Of as many worthless ideas the rule would keep {found.expected_by_luck:.1f}."
    if found.noise is None:
        return (
            f"{told} The noise of one run is not known, and too few runs were discarded to tell: give it with --noise."
        )
    source = "read off the discarded runs, so an upper bound" if found.estimated else "as given"
    told += (
        f" The noise of one run is {found.noise:.3g} ({source}); the best of them would show {found.luck:.3g} by luck."
    )
    told += f" {found.survive} of {len(found.gains)} kept gains survive a correction for all runs (Holm, .05)."
    if found.estimated and found.survive < len(found.gains):
        told += " The others may be real: repeated seeds would tell."
    return told


def _scatter(runs: Sequence[LoggedRun]) -> float | None:
    """Upper bound of the noise: the scatter of discarded runs below the best at their time, effects included."""
    best, distances = runs[0].value, []
    for run in runs[1:]:
        if run.kept:
            best = min(best, run.value)
        else:
            distances.append(run.value - best)
    if len(distances) < LEAST_DISCARDED:
        return None
    middle = statistics.median(distances)
    return 1.4826 * statistics.median(abs(d - middle) for d in distances) / math.sqrt(2)


def _number(text: str) -> float:
    """NaN also for what no loss is: differences of such numbers would be infinite."""
    try:
        found = float(text)
    except ValueError:
        return math.nan
    return found if abs(found) < LARGEST else math.nan


def as_record(found: LogAudit) -> Mapping[str, object]:
    """The JSON that other programs rely on."""
    return {
        "runs": found.runs, "crashed": found.crashed, "kept": found.kept, "survive": found.survive,
        "expected_by_luck": found.expected_by_luck, "luck": found.luck, "gain": found.gain, "noise": found.noise,
        "noise_estimated": found.estimated,
        "gains": [{"name": g.name, "gain": g.gain, "p": g.p, "survives": g.survives} for g in found.gains],
        "text": log_text(found),
    }  # fmt: skip
