"""The charts, as plain Plotly figures (data and layout): `Story` -> dictionaries. Pure; a chart without data is None.

Positions and colours mean the same everywhere: grey is the lab's own baseline, colour a candidate; a hollow mark was
screened on one seed, a full mark with a bar stands for fresh seeds. Words in a figure are escaped for Plotly, which
reads a little HTML in them.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from move37.app.report.findings import (
    Cost,
    at_steps,
    best_at,
    costs,
    depths,
    gate_counts,
    screening_steps,
    step_counts,
    trials,
)
from move37.app.report.story import Story
from move37.app.text import bare, one_line
from move37.lab.records import Experiment, Role
from move37.lab.verdicts import Summary

Figure = dict[str, Any]
GREY, BLUE, GREEN, RED, AMBER = "#8b95a5", "#2f6fde", "#1a9e6b", "#d1495b", "#d99100"
FAMILIES = ("#2f6fde", "#d1495b", "#1a9e6b", "#d99100", "#8d5bd6", "#0f9fb5", "#c2569b", "#7a8f2a", "#b06a3b")
LONGEST = 40  # rows of the main chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure with the words around it."""

    title: str
    note: str
    figure: Figure
    wide: bool = False


def charts(story: Story) -> list[Chart]:
    """What there is to draw, in the order of the page."""
    makers: tuple[Callable[[Story], Chart | None], ...] = (standings, progress, lineage, trade, gates)
    return [chart for make in makers if (chart := make(story)) is not None]


# The leaderboard, drawn -----------------------------------------------------------------------------------------


def standings(story: Story) -> Chart | None:
    """The primary metric at equal steps, with intervals; one view for each number of steps."""
    counts = step_counts(story.experiments, story.metric)[::-1]
    views = [(steps, view) for steps in counts if (view := _view(story, steps)) is not None]
    if not views:
        return None
    data: list[Figure] = []
    buttons: list[Figure] = []
    total = sum(len(traces) for _, (traces, _) in views)
    for number, (steps, (traces, order)) in enumerate(views):
        first = len(data)
        data += [t | {"visible": number == 0} for t in traces]
        shown = [first <= i < first + len(traces) for i in range(total)]
        args = [{"visible": shown}, {"yaxis.categoryarray": order, "yaxis.range": [-0.7, len(order) - 0.3]}]
        buttons.append({"label": f"{steps} steps" if steps else "all", "method": "update", "args": args})
    first_order = views[0][1][1]
    tallest = max(len(order) for _, (_, order) in views)
    layout: Figure = {
        "height": 130 + 24 * tallest,
        "margin": {"l": 250},
        "xaxis": {"title": {"text": _axis(story)}},
        "yaxis": {"categoryorder": "array", "categoryarray": first_order, "range": [-0.7, len(first_order) - 0.3]},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    if len(buttons) > 1:
        menu = {"type": "buttons", "direction": "right", "buttons": buttons, "x": 1, "xanchor": "right", "y": 1.02}
        look = {"bgcolor": "#dfe5ee", "bordercolor": GREY, "font": {"color": "#1c2430"}}  # on light and on dark ground
        layout["updatemenus"] = [menu | look | {"yanchor": "bottom", "pad": {"b": 28}}]
        layout["height"] += 30
    note = "Best at the top. Values after other steps do not compare; a hollow mark ranks, it claims nothing."
    title = f"{_title(story)} at equal steps" if counts[0] else _title(story)
    return Chart(title=title, note=note, figure={"data": data, "layout": layout}, wide=True)


def _view(story: Story, steps: int) -> tuple[list[Figure], list[str]] | None:
    found: list[tuple[Experiment, Summary, bool]] = []
    for e in story.experiments:
        for fresh in (False, True):
            summary = at_steps(e, story.metric, steps, fresh=fresh)
            if summary is not None:
                found.append((e, summary, fresh))
    best: dict[str, float] = {}
    for e, summary, _ in found:  # fresh seeds come second and decide the place
        best[e.id] = story.metric.gain(summary.mean, 0.0)
    ranked = sorted(best, key=lambda ident: best[ident])[-LONGEST:]
    if not ranked:
        return None
    names = {e.id: _label(e) for e, _, _ in found}
    traces = []
    for role, colour, who in ((Role.BASELINE, GREY, "baseline"), (Role.CANDIDATE, BLUE, "candidate")):
        for fresh in (False, True):
            mine = [(e, s) for e, s, f in found if e.role is role and f is fresh and e.id in ranked]
            if mine:
                traces.append(_marks(mine, names, colour, f"{who}, {'fresh seeds' if fresh else 'one seed'}", fresh))
    return traces, [names[ident] for ident in ranked]


def _marks(
    mine: Sequence[tuple[Experiment, Summary]], names: dict[str, str], colour: str, label: str, fresh: bool
) -> Figure:
    trace: Figure = {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "x": [s.mean for _, s in mine],
        "y": [names[e.id] for e, _ in mine],
        "marker": {"size": 10, "color": colour, "symbol": "circle" if fresh else "circle-open", "line": {"width": 2}},
        "customdata": [s.n for _, s in mine],
        "hovertemplate": "%{y}<br>%{x:.4f}, seeds: %{customdata}<extra></extra>",
    }
    if fresh:
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [(s.high if s.high is not None else s.mean) - s.mean for _, s in mine],
            "arrayminus": [s.mean - (s.low if s.low is not None else s.mean) for _, s in mine],
            "color": colour,
        }
    return trace


# The search -----------------------------------------------------------------------------------------------------


def progress(story: Story) -> Chart | None:
    """Best so far against experiments, and against compute."""
    found = trials(story)
    if not any(t.value is not None for t in found):
        return None
    steps = screening_steps(story)
    data: list[Figure] = []
    for axis, places in (("", [t.experiment.number for t in found]), ("2", [t.compute for t in found])):
        at = {"xaxis": f"x{axis}", "yaxis": "y", "showlegend": axis == ""}
        seen = [(p, t) for p, t in zip(places, found, strict=True) if t.value is not None]
        data.append(
            at
            | {
                "type": "scatter",
                "mode": "markers",
                "name": "candidate, one seed",
                "x": [p for p, _ in seen],
                "y": [t.value for _, t in seen],
                "text": [_label(t.experiment) for _, t in seen],
                "marker": {"size": 9, "color": BLUE, "symbol": "circle-open", "line": {"width": 2}},
                "hovertemplate": "%{text}<br>%{y:.4f}<extra></extra>",
            }
        )
        line = {"color": BLUE, "width": 2, "shape": "hv"}
        best = {"type": "scatter", "mode": "lines", "name": "best so far", "line": line, "hoverinfo": "skip"}
        data.append(at | best | {"x": [p for p, _ in seen], "y": [t.best for _, t in seen]})
        rival = best_at(story.baselines, story.metric, steps)
        if rival is not None:
            ends = [min(places, default=0), max(places, default=1)]
            name = f"best baseline: {_words(rival[0].name)}"
            dash = {"type": "scatter", "mode": "lines", "line": {"color": GREY, "dash": "dash"}, "hoverinfo": "skip"}
            data.append(at | dash | {"name": name, "x": ends, "y": [rival[1].mean] * 2})
    layout = {
        "height": 380,
        "grid": {"rows": 1, "columns": 2, "subplots": [["xy", "x2y"]], "xgap": 0.06},
        "xaxis": {"title": {"text": "candidates tried"}, "dtick": max(1, math.ceil(len(found) / 12))},
        "xaxis2": {"title": {"text": "seconds of training and scoring"}},
        "yaxis": {"title": {"text": _axis(story)}, "autorange": True if story.metric.higher_is_better else "reversed"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    note = f"After {steps} steps, one seed each" if steps else "One seed each"
    note += ": the best of many is partly luck, which only fresh seeds take away. Better is higher up."
    return Chart(title="Progress of the search", note=note, figure={"data": data, "layout": layout}, wide=True)


def lineage(story: Story) -> Chart | None:
    """Who came from whom, generation by generation."""
    everybody = [*story.ancestors.values(), *story.experiments]
    if not any(e.parents for e in story.candidates):
        return None
    parents = {p for e in everybody for p in e.parents}
    shown = [e for e in everybody if e.role is Role.CANDIDATE or e.id in parents]
    depth = depths(shown)
    families = sorted({e.family or "not named" for e in shown})
    places: dict[str, tuple[float, float]] = {}
    for level in sorted(set(depth.values())):
        row = sorted((e for e in shown if depth[e.id] == level), key=lambda e: (e.family, e.number))
        for i, e in enumerate(row):
            places[e.id] = (float(level), (i + 1) / (len(row) + 1))
    xs: list[float | None] = []
    ys: list[float | None] = []
    for e in shown:
        for p in e.parents:
            if p in places:
                xs += [places[p][0], places[e.id][0], None]
                ys += [places[p][1], places[e.id][1], None]
    edges = {"type": "scatter", "mode": "lines", "x": xs, "y": ys, "line": {"color": GREY, "width": 1}, "opacity": 0.5}
    data: list[Figure] = [edges | {"hoverinfo": "skip", "showlegend": False}]
    data += [_family(family, i, shown, places) for i, family in enumerate(families)]
    axis = {"visible": False}
    widest = max(sum(d == level for d in depth.values()) for level in set(depth.values()))
    layout = {
        "height": max(360, 60 + 34 * widest),
        "margin": {"l": 130},  # the baselines' names stand left of their marks
        "xaxis": {
            "title": {"text": "generations from the oldest parent"},
            "dtick": 1,
            "zeroline": False,
        },
        "yaxis": axis,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    note = "Squares are baselines; a cross failed or was rejected; a large mark went up the ladder."
    return Chart(title="Lineage", note=note, figure={"data": data, "layout": layout})


def _family(family: str, index: int, shown: Sequence[Experiment], places: dict[str, tuple[float, float]]) -> Figure:
    mine = [e for e in shown if (e.family or "not named") == family]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": _words(family),
        "x": [places[e.id][0] for e in mine],
        "y": [places[e.id][1] for e in mine],
        "text": [str(e.number) if e.role is Role.CANDIDATE else _words(e.name) for e in mine],
        "cliponaxis": False,
        "textposition": ["middle right" if e.role is Role.CANDIDATE else "middle left" for e in mine],
        "hovertext": [f"{_label(e)}<br>{e.status.value}{_effect(e)}" for e in mine],
        "hoverinfo": "text",
        "marker": {
            "color": FAMILIES[index % len(FAMILIES)],
            "size": [16 if e.status.value in ("promoted", "confirmed") else 10 for e in mine],
            "symbol": [_symbol(e) for e in mine],
        },
    }


def _symbol(experiment: Experiment) -> str:
    if experiment.role is Role.BASELINE:
        return "square"
    return "x" if experiment.status.value in ("failed", "rejected") else "circle"


def _effect(experiment: Experiment) -> str:
    return f", {experiment.verdict.effect:+.3f} against the best baseline" if experiment.verdict else ""


# Quality beside cost, and the gates -----------------------------------------------------------------------------


def trade(story: Story) -> Chart | None:
    """Quality against parameters and against speed."""
    found = costs(story)
    sides: list[tuple[str, str, Callable[[Cost], float | None]]] = [
        ("", "parameters of the mixer", lambda c: c.parameters),
        ("2", "tokens a CPU second", lambda c: c.speed),
    ]
    sides = [side for side in sides if any(side[2](c) for c in found)]
    if not sides:
        return None
    data: list[Figure] = []
    layout: Figure = {
        "height": 380,
        "yaxis": {"title": {"text": _axis(story)}, "autorange": True if story.metric.higher_is_better else "reversed"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    names = ["", "2"][: len(sides)]
    layout["grid"] = {"rows": 1, "columns": len(sides), "subplots": [[f"x{n}y" for n in names]], "xgap": 0.08}
    for name, (_, title, value) in zip(names, sides, strict=True):
        layout[f"xaxis{name}"] = {"title": {"text": title}}
        for role, colour, who in ((Role.BASELINE, GREY, "baseline"), (Role.CANDIDATE, BLUE, "candidate")):
            mine = [c for c in found if c.experiment.role is role and value(c)]
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": who,
                    "legendgroup": who,
                    "showlegend": name == "",
                    "xaxis": f"x{name}",
                    "yaxis": "y",
                    "x": [value(c) for c in mine],
                    "y": [c.value for c in mine],
                    "text": [_label(c.experiment) for c in mine],
                    "marker": {"size": 10, "color": colour, "symbol": "circle-open", "line": {"width": 2}},
                    "hovertemplate": "%{text}<br>%{y:.4f} at %{x:,.0f}<extra></extra>",
                }
            )
    steps = screening_steps(story)
    note = f"After {steps} steps, one seed. " if steps else ""
    note += "Whole networks have equal parameters; what a mixer needs less, the MLP gets. Better is higher up."
    return Chart(title="Quality beside size and speed", note=note, figure={"data": data, "layout": layout})


def gates(story: Story) -> Chart | None:
    """Which gates refused candidates."""
    found = gate_counts(story.candidates)[::-1]
    if not found:
        return None
    names = [_words(c.gate) for c in found]
    bars = [("ended the experiment", RED, [c.ended for c in found]), ("mended", GREEN, [c.mended for c in found])]
    data = [
        {"type": "bar", "orientation": "h", "name": name, "x": values, "y": names, "marker": {"color": colour}}
        for name, colour, values in bars
    ]
    layout = {
        "height": 150 + 30 * len(names),
        "barmode": "stack",
        "margin": {"l": 140},
        "xaxis": {"title": {"text": "candidates"}, "dtick": 1 if max(c.ended + c.mended for c in found) < 15 else None},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    note = "Gates are programs that run before any training time is spent."
    return Chart(title="What the gates refused", note=note, figure={"data": data, "layout": layout})


def _title(story: Story) -> str:
    return story.metric.name.replace("_", " ").capitalize()


def _axis(story: Story) -> str:
    better = "higher" if story.metric.higher_is_better else "lower"
    return f"{story.metric.unit} ({better} is better)"


def _label(experiment: Experiment) -> str:
    own = experiment.name if experiment.role is Role.BASELINE else f"{experiment.number:03d} {experiment.name}"
    return _words(own if own.strip() else experiment.id)


def _words(text: str) -> str:
    return html.escape(one_line(bare(text), 34))
