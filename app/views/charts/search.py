"""The search over time, and the family tree. `CampaignView` -> charts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
from move37.app.views.leaderboard import heading
from move37.app.views.lineage import ancestry, depths
from move37.app.views.search import (
    SearchPoint,
    best_at,
    screening_terms,
    trials,
)
from move37.app.views.words import ENDED
from move37.lab.records import Experiment, Role

Spot = tuple[float, float]  # of a mark in the family tree: generation, and a row from the top down, negative


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
    """Best so far against compute: campaigns of one task whose screens share their terms, over each other."""
    tasks: dict[tuple[str, str, str], list[CampaignView]] = {}
    for view in views:
        terms = screening_terms(view)
        if terms is not None:
            tasks.setdefault((view.campaign.brief.task, view.metric.name, heading(terms)), []).append(view)
    charts = []
    for (task, _, where), mine in tasks.items():
        data = [_best_line(view, COLOURS[i % len(COLOURS)]) for i, view in enumerate(mine)]
        layout = {
            "height": 380,
            "xaxis": {"title": {"text": "seconds of training and scoring"}},
            "yaxis": quality_axis(mine[0].metric),
            "legend": LEGEND,
        }
        title, note = f"{words(task)}: best so far, {where}", "One seed each."
        rival = best_at([b for v in mine for b in v.baselines], mine[0].metric, screening_terms(mine[0]))
        if rival is not None and (noise := noise_of(mine[0].metric)):
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


def tree(view: CampaignView) -> Chart | None:
    """Who was made from whom, generation by generation."""
    everybody = [*view.ancestors.values(), *view.experiments]
    made_from = ancestry(everybody)
    if not made_from:
        return None
    shown = [e for e in everybody if e.role is Role.CANDIDATE or e.id in made_from.values()]
    depth = depths(made_from, [e.id for e in shown])
    places = _places([e.id for e in shown], made_from, depth)
    xs: list[float | None] = []
    ys: list[float | None] = []
    for child, parent in made_from.items():
        if child in places and parent in places:
            xs += [places[parent][0], places[child][0], None]
            ys += [places[parent][1], places[child][1], None]
    edge = {"type": "scatter", "mode": "lines", "line": {"color": GREY, "width": 1}, "opacity": 0.5}
    data: list[Figure] = [edge | {"x": xs, "y": ys, "hoverinfo": "skip", "showlegend": False}]
    families: dict[str, list[Experiment]] = {}
    for e in sorted(shown, key=lambda e: e.family):
        families.setdefault(e.family or "not named", []).append(e)
    data += [_family(name, i, mine, places) for i, (name, mine) in enumerate(families.items())]
    layout = {
        "height": max(360, 90 + 26 * len({row for _, row in places.values()})),
        "margin": {"l": 130, "t": 30},  # the baselines' names stand left of their marks
        "xaxis": {"title": {"text": "generations from the oldest ancestor"}, "dtick": 1, "zeroline": False},
        "yaxis": {"visible": False},
        "legend": LEGEND,
    }
    note = "Made from whom. Squares are baselines; a cross failed or was rejected; a large mark went up the ladder."
    note += " On the page a mark opens its experiment."
    return Chart(title="Family tree", note=note, figure={"data": data, "layout": layout}, wide=True)


def _places(idents: Sequence[str], made_from: Mapping[str, str], depth: Mapping[str, int]) -> dict[str, Spot]:
    """Every leaf on a line of its own, every ancestor in the middle of its children, so that no edges cross."""
    below: dict[str, list[str]] = {}
    for ident in idents:
        parent = made_from.get(ident)
        if parent is not None and depth.get(parent) == depth[ident] - 1:  # else an odd archive's circle, cut here
            below.setdefault(parent, []).append(ident)
    order: list[str] = []  # everybody before their children
    rest = [ident for ident in reversed(idents) if depth[ident] == 0]
    while rest:
        order.append(rest.pop())
        rest += reversed(below.get(order[-1], ()))
    leaves = [ident for ident in order if ident not in below]
    rows = {ident: float(row) for row, ident in enumerate(leaves)}
    for ident in reversed(order):
        if ident in below:
            rows[ident] = sum(rows[child] for child in below[ident]) / len(below[ident])
    return {ident: (float(depth[ident]), -rows[ident]) for ident in order}


def _family(family: str, index: int, mine: Sequence[Experiment], places: Mapping[str, Spot]) -> Figure:
    own = [e.role is Role.BASELINE for e in mine]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": words(family),
        "x": [places[e.id][0] for e in mine],
        "y": [places[e.id][1] for e in mine],
        "text": [words(e.name) if o else str(e.number) for e, o in zip(mine, own, strict=True)],
        "customdata": [e.id for e in mine],
        "cliponaxis": False,
        "textposition": ["middle left" if o else "middle right" for o in own],
        "hovertext": [f"{label(e)}<br>{e.status.value}" for e in mine],
        "hoverinfo": "text",
        "marker": {
            "color": COLOURS[index % len(COLOURS)],
            "size": [16 if e.status.value in ("promoted", "confirmed") else 10 for e in mine],
            "symbol": [_symbol(e) for e in mine],
        },
    }


def _symbol(experiment: Experiment) -> str:
    if experiment.role is Role.BASELINE:
        return "square"
    return "x" if experiment.status in ENDED else "circle"
