"""The family tree. `CampaignView` -> a chart. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from move37.app.views.campaign import CampaignView
from move37.app.views.charts.shared import COLOURS, GREY, LEGEND, Chart, Figure, label, words
from move37.app.views.lineage import ancestry, depths
from move37.app.views.words import ENDED
from move37.lab.records import Experiment, Role

DEEP = 8  # generations
Spot = tuple[float, float]  # of a mark in the family tree: generation, and a row from the top down, negative


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
    # In a deep tree the numbers of one line of descent would stand upon each other: there the ends alone are named.
    named = set(places) if max(depth.values()) <= DEEP else set(places) - set(made_from.values())
    data += [_family(name, i, mine, places, named) for i, (name, mine) in enumerate(families.items())]
    lowest = min(row for _, row in places.values())
    layout = {
        "height": max(360, 116 - 26 * int(lowest)),
        "margin": {"l": 130, "t": 30},  # the baselines' names stand left of their marks
        "xaxis": {"title": {"text": "generations from the oldest ancestor"}, "dtick": 1, "zeroline": False},
        "yaxis": {"visible": False, "range": [lowest - 0.7, 0.7]},
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


def _family(
    family: str, index: int, mine: Sequence[Experiment], places: Mapping[str, Spot], named: Collection[str]
) -> Figure:
    own = [e.role is Role.BASELINE for e in mine]
    numbers = [str(e.number) if e.id in named else "" for e in mine]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": words(family),
        "x": [places[e.id][0] for e in mine],
        "y": [places[e.id][1] for e in mine],
        "text": [words(e.name) if o else number for e, o, number in zip(mine, own, numbers, strict=True)],
        "customdata": [e.id for e in mine],
        "cliponaxis": False,
        "textposition": ["middle left" if o else "middle right" for o in own],
        "hovertext": [f"{label(e)}<br>{e.status.value}" for e in mine],
        "hoverinfo": "text",
        "marker": {
            "color": COLOURS[index % len(COLOURS)],
            "opacity": 1,
            "size": [16 if e.status.value in ("promoted", "confirmed") else 10 for e in mine],
            "symbol": [_symbol(e) for e in mine],
        },
    }


def _symbol(experiment: Experiment) -> str:
    if experiment.role is Role.BASELINE:
        return "square"
    return "x" if experiment.status in ENDED else "circle"
