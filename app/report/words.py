"""The sentences that page and Markdown share: what a campaign may claim, and why a number may be believed. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from move37.app.report.findings import outcomes
from move37.app.report.story import Story
from move37.lab.records import COMBINED_SCORE, GateResult, Metric, Verdict
from move37.lab.verdicts import Row, Summary

ENDED = ("failed", "rejected")
_SEEDS = "Rows screened on one seed are ranked, not claimed; intervals come from fresh seeds that chose nothing."
_MIXERS = (
    "Positive effects are better. No row is a discovery: that needs its own ablation, more steps, a larger width "
    "and held-out text."
)
_PROGRAMS = "Positive effects are better; they are gains over the start program by this evaluator, and nothing more."


def footnotes(metric: Metric) -> tuple[str, ...]:
    """What stands under every table of this metric."""
    return _SEEDS, _PROGRAMS if metric == COMBINED_SCORE else _MIXERS


def grouped(rows: Sequence[Row], metric: Metric) -> list[tuple[str, list[Row]]]:
    """Rows of equal steps under one heading each, most steps first; what failed or was rejected stands last.

    Values after different steps do not compare, and a number that a failed candidate left behind ranks nothing.
    """
    groups: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda r: (_has_ended(r), metric.name not in r.metrics)):
        groups.setdefault(_heading(row, metric), []).append(row)
    return list(groups.items())


def _heading(row: Row, metric: Metric) -> str:
    if _has_ended(row):
        return "failed or rejected"
    if metric.name not in row.metrics:
        return "not measured yet"
    return f"after {row.steps} steps" if row.steps else "measured"


def _has_ended(row: Row) -> bool:
    summary = next(iter(row.metrics.values()), None)
    return row.status.value in ENDED or (summary is not None and summary.diverged)


def claim(story: Story) -> str:
    """What this campaign shows, in its strongest verdict's own words; never more."""
    if not story.candidates:
        return "No candidate has been tried yet."
    judged = [e for e in story.candidates if e.verdict is not None and e.status.value not in ENDED]
    if not judged:
        ended = ", ".join(f"{n} {status}" for status, n in outcomes(story).items())
        return f"No candidate has a verdict: {ended}. Failures are results too; each says below why it ended."
    confirmed = [e for e in judged if e.verdict is not None and e.verdict.low is not None]
    chosen = max(confirmed or judged, key=lambda e: _strength(e.verdict))
    assert chosen.verdict is not None
    return f"{chosen.id} {chosen.name}: {chosen.verdict.text}"


def _strength(verdict: Verdict | None) -> float:
    if verdict is None or not math.isfinite(verdict.effect):
        return -math.inf
    return verdict.low if verdict.low is not None else verdict.effect


def evidence(row: Row, metric: Metric, reason: str = "") -> str:
    """Why the primary number may be believed; `reason` says why a failed or rejected experiment ended."""
    summary = row.metrics.get(metric.name)
    words = f"{row.status.value}: {reason or row.evidence}" if row.status.value in ENDED else row.evidence
    return f"{words}, self-reported" if summary is not None and summary.self_reported else words


def together(gates: Iterable[GateResult]) -> list[tuple[str, GateResult]]:
    """The gates with the names to show; those that could not run for one and the same reason share a line, at the end.

    A program has eleven gates that do not apply: one line says so.
    """
    shown: list[tuple[str, GateResult]] = []
    idle: dict[str, list[GateResult]] = {}
    for gate in gates:
        if gate.passed is None:
            idle.setdefault(gate.message, []).append(gate)
        else:
            shown.append((gate.name, gate))
    for same in idle.values():
        shown.append((same[0].name if len(same) == 1 else f"{len(same)} others", same[0]))
    return shown


def range_text(summary: Summary | None) -> str:
    """A mean with its interval, as HTML without foreign text."""
    if summary is None:
        return "<span class='quiet'>–</span>"
    if summary.diverged or not math.isfinite(summary.mean):
        return "<span class='bad'>diverged</span>"
    if summary.low is None or summary.high is None:
        return f"{summary.mean:.3f}"
    return f"{summary.mean:.3f} <span class='range'>[{summary.low:.3f}, {summary.high:.3f}]</span>"
