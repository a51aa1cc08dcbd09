"""The charts, as plain Plotly figures (data and layout): `CampaignView` -> dictionaries. Pure; without data None.

Positions and colours mean the same everywhere: grey is the lab's own baseline, colour a candidate; a hollow mark was
screened on one seed, a full mark with a bar stands for fresh seeds; a grey band is what two runs of one arm differ by.
No axis carries values of two groups. Words in a figure are escaped for Plotly, which reads a little HTML in them.
"""

from __future__ import annotations

from collections.abc import Callable

from move37.app.views.campaign import CampaignView
from move37.app.views.charts.costs import gates, trade
from move37.app.views.charts.evidence import claims, evidence
from move37.app.views.charts.family import tree
from move37.app.views.charts.search import campaigns_over_compute, discoveries, progress
from move37.app.views.charts.shared import Chart, narrow, places
from move37.app.views.charts.values import standings, training

__all__ = [
    "Chart",
    "campaigns_over_compute",
    "charts",
    "claims",
    "discoveries",
    "evidence",
    "gates",
    "narrow",
    "places",
    "progress",
    "standings",
    "trade",
    "training",
    "tree",
]


def charts(view: CampaignView) -> list[Chart]:
    """What there is to draw, in the order of the report."""
    makers: tuple[Callable[[CampaignView], Chart | None], ...] = (
        progress, claims, evidence, discoveries, tree, training,
    )  # fmt: skip
    made = [*standings(view), *(make(view) for make in makers), *trade(view), gates(view)]
    return [chart for chart in made if chart is not None]
