"""Quality beside what it costs, and what the gates refused. `CampaignView` -> charts. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from move37.app.text import counted
from move37.app.views.campaign import CampaignView
from move37.app.views.charts.shared import (
    GREEN,
    LEGEND,
    RED,
    ROLES,
    Chart,
    Figure,
    axes_of,
    band_shape,
    label,
    noise_of,
    quality_axis,
    words,
)
from move37.app.views.leaderboard import ComparisonTerms, heading
from move37.app.views.search import Cost, best_at, cost_terms, costs_of, front, gate_counts
from move37.app.views.state import TOKENS
from move37.app.views.words import words_of


def trade(view: CampaignView) -> list[Chart]:
    """Quality against parameters, speed, memory and state, with the Pareto front.

    One chart where all were screened, and one for each other group of values that compare: shown one at a time.
    """
    groups = cost_terms(view)
    return [chart for terms in groups if (chart := _trade(view, terms, groups)) is not None]


def _trade(view: CampaignView, terms: ComparisonTerms, others: Sequence[ComparisonTerms]) -> Chart | None:
    found = costs_of(view.experiments, view.metric, terms)
    every: list[tuple[str, Callable[[Cost], float | None], bool]] = [
        ("parameters of the mixer", lambda c: c.parameters, True),
        ("tokens a CPU second", lambda c: c.speed, False),
        ("peak bytes of training", lambda c: c.memory, True),
        (f"state after {TOKENS:,} tokens", lambda c: c.state, True),
    ]
    sides = [side for side in every if any(side[1](c) for c in found)]
    if not sides:
        return None
    data: list[Figure] = []
    axes = ["", "2", "3", "4"][: len(sides)]
    layout: Figure = {"height": 400, "yaxis": quality_axis(view.metric), "legend": LEGEND}
    layout["grid"] = {"rows": 1, "columns": len(sides), "subplots": [[f"x{a}y" for a in axes]], "xgap": 0.08}
    for axis, (title, cost, dear) in zip(axes, sides, strict=True):
        layout[f"xaxis{axis}"] = {"title": {"text": title}}
        if "state" in title:
            layout[f"xaxis{axis}"] |= {"type": "log"} | ticks([x for c in found if (x := cost(c))])
        data += _costs(found, cost, axis)
        points = [(x, view.metric.gain(c.value, 0.0)) for c in found if (x := cost(c))]
        kept = front(points, more_is_dear=dear)
        gain = 1.0 if view.metric.higher_is_better else -1.0
        line = {"color": GREEN, "dash": "dot", "width": 1.5}
        trace = {"type": "scatter", "mode": "lines", "name": "Pareto front", "line": line, "hoverinfo": "skip"}
        data.append(trace | axes_of(axis) | {"x": [x for x, _ in kept], "y": [gain * y for _, y in kept]})
    rival = best_at(view.baselines, view.metric, terms)
    if rival is not None and (noise := noise_of(view.metric)):
        layout["shapes"] = [band_shape("y", rival[1].mean - noise, rival[1].mean + noise)]
    where = heading(terms, others)
    note = f"{where.capitalize()}. Nothing on the dotted line is beaten in both. Better is higher up. {_unknown(found)}"
    return Chart(
        title="Quality beside cost",
        note=note,
        figure={"data": data, "layout": layout},
        wide=len(sides) > 1,
        choice=f"{where}: {counted(len(found), 'arm')}",
    )


def ticks(values: Sequence[float]) -> Figure:
    """Ticks of a logarithmic axis: decades, or 1, 2 and 5 of each where fewer than two lie among `values` (>= 1)."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    decades = [10**n for n in range(low, high + 1)]
    wide = sum(min(values) <= tick <= max(values) for tick in decades) > 1
    found = decades if wide else [digit * tick for tick in decades for digit in (1, 2, 5)]
    return {"tickvals": found, "ticktext": [f"{tick:,}" for tick in found]}


def _unknown(found: Sequence[Cost]) -> str:
    """Whose state is not known, in words."""
    unknown = sum(c.state is None for c in found)
    if unknown == 0:
        return "State is counted in numbers a layer, from plans."
    if unknown == len(found):
        return "The size of the state is not known: only the lab's baselines and the search's own plans tell it."
    return f"State is counted in numbers a layer, from plans; of {unknown} without a plan it is unknown, not drawn."


def _costs(found: Sequence[Cost], cost: Callable[[Cost], float | None], axis: str) -> Iterable[Figure]:
    for role, colour, who in ROLES:
        mine = [c for c in found if c.experiment.role is role and cost(c)]
        yield axes_of(axis) | {
            "type": "scatter",
            "mode": "markers",
            "name": who,
            "legendgroup": who,
            "x": [cost(c) for c in mine],
            "y": [c.value for c in mine],
            "text": [label(c.experiment) for c in mine],
            "marker": {"size": 10, "color": colour, "symbol": "circle-open", "line": {"width": 2}},
            "hovertemplate": "%{text}<br>%{y:.5g} at %{x:,.4g}<extra></extra>",
        }


def gates(view: CampaignView) -> Chart | None:
    """Which gates refused candidates."""
    found = gate_counts(view.candidates)[::-1]
    if not found:
        return None
    names = [words(words_of(c.gate)) for c in found]
    most = max(c.ended + c.repaired for c in found)
    bars = [("ended the experiment", RED, [c.ended for c in found]), ("repaired", GREEN, [c.repaired for c in found])]
    data = [
        {"type": "bar", "orientation": "h", "name": name, "x": values, "y": names, "marker": {"color": colour}}
        for name, colour, values in bars
    ]
    layout = {
        "height": 160 + 30 * len(names),
        "barmode": "stack",
        "margin": {"l": 10, "t": 30},
        "xaxis": {"title": {"text": "candidates"}, "dtick": 1 if most < 15 else None},
        "legend": LEGEND,
    }
    note = "Gates are programs that run before any training time is spent."
    return Chart(title="What the gates refused", note=note, figure={"data": data, "layout": layout})
