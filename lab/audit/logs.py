"""The log of a search loop that keeps what is better: how many of the kept gains survive a correction. Pure.

Read `audit_log`. Each kept run is compared with the best before it, as the loop compared it, at the noise of one run;
Holm's correction counts all runs that were tried, because each of them could have been kept. The noise is given, or
bounded from above by the scatter of discarded runs: then what does not survive may still be real, and it is said.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from move37.lab.audit.log_tables import LoggedRun, decoded, read_log
from move37.lab.statistics.many import expected_records, luck
from move37.lab.statistics.summaries import survivors

LEAST_DISCARDED = 5  # runs from which a scatter may be read


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
    crashed: int  # or without a number that can be read
    unread: tuple[str, ...]  # what stands in place of numbers, of runs that did not crash
    unknown: tuple[str, ...]  # statuses that mean neither kept nor discarded nor crashed
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


def audit_file(data: bytes, *, noise: float | None = None) -> LogAudit:
    """The same of a log as it stands in its file. Raises `BadCandidate` in one line."""
    return audit_log(read_log(decoded(data)), noise=noise)


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
        unread=tuple(r.unread for r in runs if r.unread),
        unknown=tuple(dict.fromkeys(r.unknown for r in runs if r.unknown)),
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
    if found.unread:
        told += f" Of {len(found.unread)} of these crashed the number cannot be read ({_named(found.unread)})."
    if found.unknown:
        told += f" No status that this reads, so counted as discarded: {_named(found.unknown)}."
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
    return 1.4826 * statistics.median(abs(d - middle) for d in distances) / math.sqrt(2) or None


def _named(words: Sequence[str]) -> str:
    shown = [f"'{word}'" for word in dict.fromkeys(words)]
    return ", ".join(shown[:3]) + (", ..." if len(shown) > 3 else "")


def as_record(found: LogAudit) -> Mapping[str, object]:
    """The JSON that other programs rely on."""
    return {
        "runs": found.runs, "crashed": found.crashed, "kept": found.kept, "survive": found.survive,
        "unread": list(found.unread), "unknown_status": list(found.unknown),
        "expected_by_luck": found.expected_by_luck, "luck": found.luck, "gain": found.gain, "noise": found.noise,
        "noise_estimated": found.estimated,
        "gains": [{"name": g.name, "gain": g.gain, "p": g.p, "survives": g.survives} for g in found.gains],
        "text": log_text(found),
    }  # fmt: skip
