"""`Story` -> Markdown, for a note or a pull request: the claim, the leaderboard, what was shortened, the gates."""

from __future__ import annotations

import math
import re

from move37.app.quantities import spell_seconds
from move37.app.report.findings import gate_counts, outcomes, seconds_measured
from move37.app.report.story import Story
from move37.app.report.words import claim, evidence, footnotes, grouped
from move37.app.text import bare, one_line
from move37.lab.records import Role
from move37.lab.verdicts import Row, Summary

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#!~])")


def markdown_of(story: Story) -> str:
    """The whole text."""
    brief = story.campaign.brief
    counts = ", ".join(f"{n} {status}" for status, n in outcomes(story).items()) or "none"
    parts = [
        f"# Move 37, campaign {story.campaign.id}",
        _m(f"{brief.task}, {brief.preset} preset, model {brief.model}, seed {brief.seed}, {story.campaign.status}."),
        _m(claim(story)),
        f"{len(story.candidates)} of {brief.budget} candidates ({counts}); "
        f"{spell_seconds(seconds_measured(story))} of training and scoring.",
        _table(story),
        "\n".join(
            f"- {_m(note)}" for note in (*footnotes(story.metric), *(f"Shortened: {s}" for s in story.shortened))
        ),
        _gates(story),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def _table(story: Story) -> str:
    names = ("experiment", "name", story.metric.unit, "steps", "evidence", "against the best baseline")
    head = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join([*head, *(_row(story, row) for _, group in grouped(story.rows, story.metric) for row in group)])


def _row(story: Story, row: Row) -> str:
    value = _value(row.metrics.get(story.metric.name))
    against = "baseline" if row.role is Role.BASELINE else _effect(row)
    found = story.find(row.experiment)
    reason = found.reason if found else ""
    cells = (
        _m(row.experiment),
        _m(row.name),
        value,
        str(row.steps or "-"),
        _m(evidence(row, story.metric, reason)),
        against,
    )
    return f"| {' | '.join(cells)} |"


def _value(summary: Summary | None) -> str:
    if summary is None:
        return "-"
    if summary.diverged or not math.isfinite(summary.mean):
        return "diverged"
    if summary.low is None or summary.high is None:
        return f"{summary.mean:.3f}"
    return f"{summary.mean:.3f} ({summary.low:.3f} to {summary.high:.3f})"


def _effect(row: Row) -> str:
    verdict = row.verdict
    if verdict is None:
        return "-"
    if verdict.low is None or verdict.high is None:
        return f"{verdict.effect:+.3f} on one seed"
    return f"{verdict.effect:+.3f} ({verdict.low:+.3f} to {verdict.high:+.3f}) of {verdict.tried} tried"


def _gates(story: Story) -> str:
    found = gate_counts(story.candidates)
    if not found:
        return ""
    return "Gates refused: " + ", ".join(f"{_m(c.gate)} {c.ended} ended, {c.mended} mended" for c in found) + "."


def _m(text: str) -> str:
    """One line in which nothing is read as Markdown or HTML."""
    return _SPECIAL.sub(r"\\\1", one_line(bare(text)))
