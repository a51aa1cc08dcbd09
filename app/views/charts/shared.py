"""What the charts share: figures, colours, the noise band, foreign words. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from move37.app.text import bare, one_line
from move37.app.views.words import direction
from move37.lab.records import Experiment, Metric, Role
from move37.lab.statistics.noise import NOISE

Figure = dict[str, Any]
GREY, BLUE, GREEN, RED = "#8b95a5", "#2f6fde", "#1a9e6b", "#d1495b"
COLOURS = (BLUE, RED, GREEN, "#d99100", "#8d5bd6", "#0f9fb5", "#c2569b", "#7a8f2a", "#b06a3b")
ROLES = ((Role.BASELINE, GREY, "baseline"), (Role.CANDIDATE, BLUE, "candidate"))
BAND = "rgba(139,149,165,0.16)"
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
MANY = 4  # entries of a legend


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure with the words around it."""

    title: str
    note: str
    figure: Figure
    wide: bool = False
    choice: str = ""  # what tells it from its neighbours of the same title: of them one is shown at a time


def places(charts: Sequence[Chart]) -> list[tuple[int, ...]]:
    """Which charts share a place, as indices: neighbours of one title that are chosen among."""
    found: list[tuple[int, ...]] = []
    for index, chart in enumerate(charts):
        shares = bool(chart.choice and index) and charts[index - 1].title == chart.title
        found.append((*found.pop(), index) if shares else (index,))
    return found


def label(experiment: Experiment) -> str:
    """An experiment's name in a figure, with its number where it has one."""
    own = experiment.name if experiment.role is Role.BASELINE else f"{experiment.number:03d} {experiment.name}"
    return words(own if own.strip() else experiment.id)


def words(text: str) -> str:
    """Foreign words for Plotly: harmless, short, and no HTML."""
    return html.escape(one_line(bare(text), 34))


def axes_of(axis: str) -> Figure:
    return {"xaxis": f"x{axis}", "yaxis": "y", "showlegend": axis == ""}


def quality_axis(metric: Metric) -> Figure:
    return {"title": {"text": direction(metric)}, "autorange": True if metric.higher_is_better else "reversed"}


def noise_of(metric: Metric) -> float:
    """Half of the band in which 95 % of one arm's runs lie; 0 where it was never measured."""
    known = NOISE.get(metric.name)
    return 1.96 * known.run.sd if known else 0.0


def band_shape(axis: str, low: float, high: float) -> Figure:
    other = "y" if axis == "x" else "x"
    place = {f"{axis}0": low, f"{axis}1": high, f"{other}0": 0, f"{other}1": 1, f"{other}ref": "paper"}
    return {"type": "rect", "layer": "below", "fillcolor": BAND, "line": {"width": 0}, f"{axis}ref": axis} | place


def narrow(chart: Chart) -> Chart:
    """The same for a narrow screen: plots below each other, names cut, small letters."""
    layout = dict(chart.figure["layout"]) | {"font": {"size": 11}}
    data = chart.figure["data"]
    columns = layout.get("grid", {}).get("columns", 1)
    if columns > 1:
        layout["grid"] = {"rows": columns, "columns": 1, "pattern": "independent", "ygap": 0.35}
        layout["height"] = layout["height"] * columns * 0.8
        axes = {f"x{n or ''}": f"y{n or ''}" for n in (0, *range(2, columns + 1))}
        data = [t | {"yaxis": axes[t.get("xaxis", "x")]} for t in data]
        layout |= {f"yaxis{n}": layout["yaxis"] | {"matches": "y"} for n in range(2, columns + 1)}
        bands = [shape for shape in layout.get("shapes", ()) if shape.get("yref") == "y"]
        more = [band | {"yref": f"y{n}"} for band in bands for n in range(2, columns + 1)]
        layout["shapes"] = [*layout.get("shapes", ()), *more]
    entries = sum(bool(t.get("name")) and t.get("showlegend", True) for t in data)
    if entries > MANY:  # each takes a line of its own there, and what they leave would be too low to read
        layout["height"] = layout.get("height", 400) + 20 * (entries - MANY)
    names = layout.get("yaxis", {}).get("categoryarray")
    if names:
        ticks = [name if len(name) <= 15 else f"{name[:14]}…" for name in names]
        layout["yaxis"] = layout["yaxis"] | {"tickvals": names, "ticktext": ticks}
    return replace(chart, figure={"data": data, "layout": layout})
