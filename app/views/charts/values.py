"""Values in their groups, and training curves. `CampaignView` -> charts. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from move37.app.text import one_line
from move37.app.views.campaign import CampaignView
from move37.app.views.charts.shared import BAND, COLOURS, LEGEND, ROLES, Chart, Figure, band_shape, label, noise_of
from move37.app.views.curves import CurveLine, band, lines, scatter, screened, smoothed
from move37.app.views.leaderboard import Group, Place, board_of
from move37.app.views.words import direction, words_of
from move37.lab.records import Metric

LONGEST = 40  # rows of one chart of values
BATCHES = 5  # stored points that a drawn one is the mean of
DRAWN = 12  # curves that are drawn unless others are asked for


def standings(view: CampaignView, most: int = 2) -> list[Chart]:
    """One chart for each of the strongest groups: the primary metric with intervals."""
    groups = board_of(view.experiments, view.metric).groups
    return [_standing(group, view.metric) for group in groups[:most] if any(_sound(p) for p in group.places)]


def _standing(group: Group, metric: Metric) -> Chart:
    sound = [p for p in group.places if _sound(p)]
    # The rival, whose noise is the band, is shown wherever it stands.
    places = [p for i, p in enumerate(sound) if i < LONGEST or p.experiment.id == group.rival][::-1]
    data = [
        _marks([p for p in places if p.experiment.role is role], colour, who, group.terms.fresh)
        for role, colour, who in ROLES
        if any(p.experiment.role is role for p in places)
    ]
    rival = next((p for p in places if p.experiment.id == group.rival), None)
    layout: Figure = {
        "height": 120 + 26 * len(places),
        "margin": {"l": 10, "t": 30},
        "xaxis": {"title": {"text": direction(metric)}},
        "yaxis": {
            "categoryorder": "array",
            "categoryarray": [label(p.experiment) for p in places],
            "range": [-0.7, len(places) - 0.3],
        },
        "legend": LEGEND,
    }
    if rival is not None:
        half = noise_of(metric) / math.sqrt(rival.summary.n)
        if half:
            layout["shapes"] = [band_shape("x", rival.summary.mean - half, rival.summary.mean + half)]
    note = f"Best at the top. The band is the noise of {one_line(rival.experiment.name, 40)}." if rival else ""
    claims = "Bars are 95 % intervals over fresh seeds." if group.terms.fresh else "One seed ranks, it claims nothing."
    title = f"{words_of(metric.name).capitalize()} {group.heading}"
    return Chart(title=title, note=f"{claims} {note}".strip(), figure={"data": data, "layout": layout}, wide=True)


def _sound(place: Place) -> bool:
    return math.isfinite(place.summary.mean) and not place.summary.diverged


def _marks(places: Sequence[Place], colour: str, who: str, fresh: bool) -> Figure:
    found = [p.summary for p in places]
    trace: Figure = {
        "type": "scatter",
        "mode": "markers",
        "name": f"{who}, {'fresh seeds' if fresh else 'one seed'}",
        "x": [s.mean for s in found],
        "y": [label(p.experiment) for p in places],
        "marker": {"size": 10, "color": colour, "symbol": "circle" if fresh else "circle-open", "line": {"width": 2}},
        "customdata": [s.n for s in found],
        "hovertemplate": "%{y}<br>%{x:.5g}, seeds: %{customdata}<extra></extra>",
    }
    if fresh:
        high = [(s.high if s.high is not None else s.mean) - s.mean for s in found]
        low = [s.mean - (s.low if s.low is not None else s.mean) for s in found]
        trace["error_x"] = {"type": "data", "symmetric": False, "array": high, "arrayminus": low, "color": colour}
    return trace


def training(view: CampaignView, experiments: Collection[str] | None = None) -> Chart | None:
    """Training curves laid over each other: of `experiments`, or one screening run of the best of all."""
    if experiments is None:
        order = {ident: i for i, ident in enumerate(board_of(view.experiments, view.metric).order)}
        found = sorted(screened(view.curves), key=lambda line: order.get(line.experiment, len(order)))[:DRAWN]
    else:
        found = lines(view.curves, experiments)
    if not found:
        return None
    names = {e.id: label(e) for e in view.experiments}
    mine = list(dict.fromkeys(line.experiment for line in found))
    data: list[Figure] = []
    baselines = {e.id for e in view.baselines}
    long = sorted((x for x in found if len(x.steps) >= 2 * BATCHES), key=lambda x: x.experiment not in baselines)
    noisy = long[0] if long else None
    if noisy is not None:
        data += _batch_band(noisy)
    for i, ident in enumerate(mine):
        runs = [line for line in found if line.experiment == ident]
        colour = COLOURS[i % len(COLOURS)]
        data += _seed_band(runs, colour)
        data += [_curve(line, names.get(ident, ident), colour, first=line is runs[0]) for line in runs]
    layout = {
        "height": 420,
        "xaxis": {"title": {"text": "optimiser steps"}},
        "yaxis": {"title": {"text": f"training loss, {view.metric.unit}"}} | _sight(found),
        "legend": LEGEND,
        "hovermode": "closest",
    }
    note = "As the training process reported it: no number that counts. A coloured band spans an experiment's seeds."
    if noisy is not None:
        whose = names.get(noisy.experiment, noisy.experiment)
        note += f" Lines are means of {BATCHES} stored batches; the grey band is what such a mean of {whose} strays by,"
        note += " whichever batches they are. A double click shows the first steps."
    return Chart(title="Training curves", note=note, figure={"data": data, "layout": layout}, wide=True)


def _sight(found: Sequence[CurveLine]) -> Figure:
    """The range without the first steps, whose fall would press all the rest into a line."""
    begun = max(line.steps[-1] for line in found) / 8
    drawn = [(s, x) for line in found for s, x in zip(line.steps, smoothed(line.losses, BATCHES), strict=True)]
    late = [loss for step, loss in drawn if step >= begun]
    if len(late) < 2 * BATCHES or min(late) == max(late):
        return {}
    low, high = min(late), max(late)
    return {"range": [low - 0.05 * (high - low), high + 0.05 * (high - low)]}


def _batch_band(line: CurveLine) -> list[Figure]:
    """Around one line: how far a mean of as many batches strays by which batches they are."""
    middle, half = smoothed(line.losses, BATCHES), 1.96 * scatter(line.losses, BATCHES) / math.sqrt(BATCHES)
    look = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    low = look | {"x": list(line.steps), "y": [m - half for m in middle]}
    return [low, low | {"y": [m + half for m in middle], "fill": "tonexty", "fillcolor": BAND}]


def _curve(line: CurveLine, name: str, colour: str, *, first: bool) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": line.experiment,
        "showlegend": first,
        "x": list(line.steps),
        "y": smoothed(line.losses, BATCHES),
        "line": {"color": colour, "width": 1.6, "dash": "dot" if line.fresh else "solid"},
        "hovertemplate": f"{name}, seed {line.seed}<br>%{{y:.4g}} at %{{x}}<extra></extra>",
    }


def _seed_band(runs: Sequence[CurveLine], colour: str) -> list[Figure]:
    found = band(runs)
    if len(found) < 2:
        return []
    steps = list(found)
    look = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    group = {"legendgroup": runs[0].experiment}
    low = look | group | {"x": steps, "y": [found[s][0] for s in steps]}
    return [low, low | {"y": [found[s][1] for s in steps], "fill": "tonexty", "fillcolor": f"{colour}22"}]
