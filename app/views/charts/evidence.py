"""Evidence as pictures: candidates beside the rungs that each has reached, and every comparison of a claim."""

from __future__ import annotations

from move37.app.text import one_line
from move37.app.views.campaign import CampaignView
from move37.app.views.charts.shared import GREEN, GREY, LEGEND, RED, Chart, Figure, label, words
from move37.app.views.leaderboard import board_of
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
    rank = {ident: i for i, ident in enumerate(board_of(view.experiments, view.metric).order)}
    ladders.sort(key=lambda pair: (position(pair[1]).reached, -rank[pair[0].id]))
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


def claims(view: CampaignView) -> Chart | None:
    """Each comparison of each claim that was asked: the gain over its rival, with its interval."""
    asked = [(e, c) for e in view.candidates if e.claim is not None for c in e.claim.comparisons][::-1]
    if not asked:
        return None
    several = len({e.id for e, _ in asked}) > 1
    rows = [words(f"{c.question.replace('_', ' ')}: {c.name}") for _, c in asked]
    rows = [f"{e.number:03d} {row}" if several else row for (e, _), row in zip(asked, rows, strict=True)]
    data = []
    for holds, name, colour in ((True, "holds", GREEN), (False, "does not hold", RED)):
        mine = [(row, c) for row, (_, c) in zip(rows, asked, strict=True) if c.holds is holds]
        high = [(c.high if c.high is not None else c.effect) - c.effect for _, c in mine]
        low = [c.effect - (c.low if c.low is not None else c.effect) for _, c in mine]
        trace: Figure = {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [c.effect for _, c in mine],
            "y": [row for row, _ in mine],
            "marker": {"size": 10, "color": colour},
            "error_x": {"type": "data", "symmetric": False, "array": high, "arrayminus": low, "color": colour},
            "text": [f"{c.seeds} fresh seeds, {c.confidence:.1%} interval" for _, c in mine],
            "hovertemplate": "%{y}<br>%{x:+.4g}, %{text}<extra></extra>",
        }
        data += [trace] if mine else []
    zero = {
        "type": "line",
        "x0": 0,
        "x1": 0,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": GREY, "dash": "dash"},
    }
    layout: Figure = {
        "height": 120 + 26 * len(asked),
        "margin": {"l": 10, "t": 30},
        "xaxis": {"title": {"text": f"gain, {view.metric.unit} (higher is better)"}, "rangemode": "tozero"},
        "yaxis": {"categoryorder": "array", "categoryarray": rows, "range": [-0.7, len(rows) - 0.3]},
        "shapes": [zero],
        "legend": LEGEND,
    }
    whose = "" if several else f" of {one_line(asked[0][0].name, 60)}"
    note = "On fresh seeds that chose nothing. A comparison holds where its whole interval lies above zero."
    return Chart(title=f"What was claimed{whose}", note=note, figure={"data": data, "layout": layout}, wide=True)


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
