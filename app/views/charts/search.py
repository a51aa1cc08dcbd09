"""The search over time. `CampaignView` -> charts. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from move37.app.views.campaign import CampaignView
from move37.app.views.charts.shared import (
    BAND,
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    LEGEND,
    RED,
    Chart,
    Figure,
    axes_of,
    band_shape,
    label,
    noise_of,
    quality_axis,
    words,
)
from move37.app.views.discoveries import CandidateEvidence, binomial_range, evidence_over_compute
from move37.app.views.leaderboard import ComparisonTerms, heading
from move37.app.views.search import (
    SearchPoint,
    best_at,
    screening_terms,
    trials,
)
from move37.lab.records import Metric


def progress(view: CampaignView) -> Chart | None:
    """Best so far against candidates, and against compute."""
    found = [t for t in trials(view) if t.value is not None]
    terms = screening_terms(view)
    if not found or terms is None:
        return None
    rival = best_at(view.baselines, view.metric, terms)
    data: list[Figure] = []
    for axis, places in (("", [float(i) for i in range(1, len(found) + 1)]), ("2", [t.compute for t in found])):
        data += _steps(found, places, axis)
        if rival is not None:
            dash = {"type": "scatter", "mode": "lines", "line": {"color": GREY, "dash": "dash"}, "hoverinfo": "skip"}
            ends = {
                "x": [min(places), max(places)],
                "y": [rival[1].mean] * 2,
                "name": f"best baseline: {label(rival[0])}",
            }
            data.append(dash | ends | axes_of(axis))
    layout = {
        "height": 400,
        "grid": {"rows": 1, "columns": 2, "subplots": [["xy", "x2y"]], "xgap": 0.06},
        "xaxis": {"title": {"text": "candidates, as they were screened"}},
        "xaxis2": {"title": {"text": "seconds of training and scoring"}},
        "yaxis": quality_axis(view.metric),
        "legend": LEGEND,
    }
    noise = noise_of(view.metric)
    if rival is not None and noise:
        layout["shapes"] = [band_shape("y", rival[1].mean - noise, rival[1].mean + noise)]
    note = f"{heading(terms).capitalize()}: the best of many is partly luck, which only fresh seeds take away."
    return Chart(title="Progress of the search", note=note, figure={"data": data, "layout": layout}, wide=True)


def _steps(found: Sequence[SearchPoint], places: Sequence[float], axis: str) -> list[Figure]:
    at = axes_of(axis) | {"type": "scatter", "x": list(places)}
    marks = {"size": 9, "color": BLUE, "symbol": "circle-open", "line": {"width": 2}}
    line = {"color": BLUE, "width": 2, "shape": "hv"}
    return [
        at
        | {
            "mode": "markers",
            "name": "candidate, one seed",
            "y": [t.value for t in found],
            "text": [label(t.experiment) for t in found],
            "marker": marks,
            "hovertemplate": "%{text}<br>%{y:.5g}<extra></extra>",
        },
        at | {"mode": "lines", "name": "best so far", "line": line, "hoverinfo": "skip", "y": [t.best for t in found]},
    ]


def discoveries(view: CampaignView) -> Chart | None:
    """How many candidates were ahead, and how many were shown to be, against the compute that was spent by then."""
    found = evidence_over_compute(view)
    if not found:
        return None
    ends = [s.compute for s in found]
    data = [
        {"type": "scatter", "mode": "lines", "name": name, "x": ends, "y": values, "line": look | {"shape": "hv"}}
        for name, values, look in (
            ("screened", [s.screened for s in found], {"color": GREY}),
            ("ahead of the best baseline on one seed", [s.ahead for s in found], {"color": BLUE, "dash": "dot"}),
            ("better on fresh seeds, interval above zero", [s.shown for s in found], {"color": GREEN, "width": 3}),
            ("confirmed: the whole claim stands", [s.confirmed for s in found], {"color": RED, "width": 3}),
        )
    ]
    data = [*_by_luck(found), *data]
    layout = {
        "height": 360,
        "xaxis": {"title": {"text": "seconds of training and scoring"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": "candidates"}, "rangemode": "tozero"},
        "legend": LEGEND | {"traceorder": "normal"},
    }
    note = "The band is where the dotted line would lie in 95 of 100 searches whose ideas all equal the best baseline: "
    note += "only the lines of fresh seeds and claims say that something was found."
    return Chart(title="Discoveries against compute", note=note, figure={"data": data, "layout": layout}, wide=True)


def _by_luck(found: Sequence[CandidateEvidence]) -> list[Figure]:
    """A band: how many of as many coins fall on one side."""
    bounds = [binomial_range(s.screened) for s in found]
    look = {"type": "scatter", "mode": "lines", "x": [s.compute for s in found], "hoverinfo": "skip"}
    edge = look | {"line": {"width": 0, "shape": "hv"}}
    low = edge | {"y": [b[0] for b in bounds], "showlegend": False}
    high = {"y": [b[1] for b in bounds], "fill": "tonexty", "fillcolor": BAND, "name": "ahead by luck alone"}
    return [low, edge | high]


def campaigns_over_compute(views: Sequence[CampaignView]) -> list[Chart]:
    """Best so far against compute: campaigns of one task and text whose screens share their terms, over each other."""
    found: dict[tuple[tuple[str, str], Metric, ComparisonTerms], list[CampaignView]] = {}
    for view in views:
        terms = screening_terms(view)
        if terms is not None:
            found.setdefault((view.campaign.comparable_by, view.metric, terms), []).append(view)
    charts = []
    for ((task, digest), metric, terms), mine in found.items():
        beside = [key for key in found if key[0][0] == task]
        where = heading(terms, [other for _, _, other in beside])
        if any(other != digest and at == terms for (_, other), _, at in beside):  # nothing else tells them apart
            where += ", data " + " ".join(w for w in (mine[0].campaign.brief.corpus or "", digest[:8]) if w)
        data = [_best_line(view, COLOURS[i % len(COLOURS)]) for i, view in enumerate(mine)]
        layout = {
            "height": 380,
            "xaxis": {"title": {"text": "seconds of training and scoring"}, "rangemode": "tozero"},
            "yaxis": quality_axis(metric),
            "legend": LEGEND,
        }
        title, note = f"{words(task)}: best so far, {where}", "One seed each."
        rival = best_at([b for v in mine for b in v.baselines], metric, terms)
        if rival is not None and (noise := noise_of(metric)):
            layout["shapes"] = [band_shape("y", rival[1].mean - noise, rival[1].mean + noise)]
            note += f" The band is the noise of {label(rival[0])}."
        charts.append(Chart(title=title, note=note, figure={"data": data, "layout": layout}, wide=True))
    return charts


def _best_line(view: CampaignView, colour: str) -> Figure:
    found = [t for t in trials(view) if t.best is not None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"campaign {view.campaign.id}",
        "x": [t.compute for t in found],
        "y": [t.best for t in found],
        "line": {"color": colour, "width": 2, "shape": "hv"},
    }
