"""What the charts share: figures, colours, the noise band, foreign words. Pure."""

from __future__ import annotations

import html
from dataclasses import dataclass
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
LEGEND = {"orientation": "h", "y": -0.16, "yanchor": "top", "x": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure with the words around it."""

    title: str
    note: str
    figure: Figure
    wide: bool = False


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
