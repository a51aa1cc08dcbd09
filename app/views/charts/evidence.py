"""The ladder of evidence as a picture: candidates beside the rungs that each has reached, failed or not been asked."""

from __future__ import annotations

from move37.app.views.campaign import CampaignView
from move37.app.views.charts.shared import GREEN, RED, Chart, Figure, label, words
from move37.lab.evidence_ladder import EvidenceStep, ladder_of, position
from move37.lab.records import Experiment
from move37.lab.tasks.registry import asks_questions

SHOWN = 16  # candidates, those that are furthest up
_COLOURS = {"reached": GREEN, "failed": RED, "open": "rgba(139,149,165,0.35)"}
_SYMBOLS = {"reached": "square", "failed": "x", "open": "square-open"}


def evidence(view: CampaignView) -> Chart | None:
    """Every measured candidate's ladder; a program is asked nothing beyond fresh seeds, and has none."""
    if not asks_questions(view.metric):
        return None
    ladders = [(e, ladder_of(e, view.metric)) for e in view.candidates if e.measurements]
    ladders.sort(key=lambda pair: (position(pair[1]).reached, -pair[0].number))
    ladders = ladders[-SHOWN:]
    if not ladders:
        return None
    data = [_trace(state, ladders) for state in ("reached", "failed", "open")]
    names = [step.name.replace("_", " ") for step in ladders[0][1]]
    layout: Figure = {
        "height": 140 + 24 * len(ladders),
        "xaxis": {"side": "top", "categoryorder": "array", "categoryarray": names, "tickangle": -35},
        "yaxis": {"automargin": True, "categoryorder": "array", "categoryarray": [label(e) for e, _ in ladders]},
        "legend": {"orientation": "h", "y": -0.05, "yanchor": "top", "x": 0},
    }
    note = "A claim stands when every rung is reached; hover for the number behind a rung, or for what asking costs."
    return Chart(title="The ladder of evidence", note=note, figure={"data": data, "layout": layout}, wide=True)


def _trace(state: str, ladders: list[tuple[Experiment, tuple[EvidenceStep, ...]]]) -> Figure:
    marks = [(e, step) for e, steps in ladders for step in steps if step.state == state]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": {"open": "not asked"}.get(state, state),
        "x": [step.name.replace("_", " ") for _, step in marks],
        "y": [label(e) for e, _ in marks],
        "marker": {"size": 13, "color": _COLOURS[state], "symbol": _SYMBOLS[state], "line": {"width": 1}},
        "text": [_told(step) for _, step in marks],
        "hovertemplate": "%{y}<br>%{text}<extra></extra>",
    }


def _told(step: EvidenceStep) -> str:
    behind = words(step.detail) if step.detail else f"about {step.core_seconds:.0f} core-seconds"
    return f"{step.words}<br>{behind}" if step.detail or step.core_seconds else step.words
