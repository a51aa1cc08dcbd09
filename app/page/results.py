"""Leaderboard, plots and family tree: the report's views, redrawn when a record changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from move37.app.page.frame import Page, content, experiment_link, fragment, render
from move37.app.report.render import summary_of
from move37.app.views.campaign import CampaignView
from move37.app.views.charts import (
    Chart,
    claims,
    discoveries,
    evidence,
    gates,
    narrow,
    places,
    progress,
    standings,
    trade,
    training,
    tree,
)
from move37.app.views.lineage import Descendant, descendants

# Neither light nor dark: read on both.
LOOK: dict[str, Any] = {
    "font": {"color": "#7d8898", "size": 13},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
}
GRID = {
    "gridcolor": "rgba(128,138,152,0.22)",
    "linecolor": "rgba(128,138,152,0.4)",
    "zeroline": False,
    "automargin": True,
}
NARROW = 640  # pixels
# Buttons are named by what is taken away: Plotly writes into a list of them, which would draw a figure without end.
CONFIG = {"responsive": True, "displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def plotly(chart: Chart) -> dict[str, Any]:
    """A figure for a page of either theme."""
    layout = dict(chart.figure["layout"])
    for axis in {"xaxis", "yaxis", *(k for k in layout if k.startswith(("xaxis", "yaxis")))}:
        layout[axis] = GRID | layout.get(axis, {})
    font = LOOK["font"] | layout.get("font", {})
    margin = {"l": 70, "r": 20, "t": 30, "b": 50} | layout.get("margin", {})
    layout = LOOK | layout | {"font": font, "margin": margin}
    return {"data": chart.figure["data"], "layout": layout, "config": CONFIG}


def drawing() -> Any:
    """A place that says so until something is drawn in it: on a busy machine a browser needs seconds to be there."""
    place = ui.element("div")
    with place:
        fragment(render("quiet.html", text="Drawing …"))
    return place


async def is_narrow() -> bool:
    """Whether this viewer looks through a narrow screen; waits until the browser is there."""
    await ui.context.client.connected()
    return int(await ui.run_javascript("window.innerWidth", timeout=5.0)) < NARROW


def draw(
    chart: Chart | None, empty: str = "", *, small: bool = False, opens: Callable[[Any], None] | None = None
) -> Any:
    """A chart with its caption, or `empty` while there is nothing to draw. `opens` is called when a mark is clicked."""
    chart = narrow(chart) if chart is not None and small else chart
    with ui.element("figure").classes("chart") as place:
        if chart is None:
            fragment(render("quiet.html", text=empty or "There is nothing to draw yet."))
            return place
        place.classes("plotted")
        fragment(render("caption.html", title=chart.title, note=chart.note))
        plot = (
            ui.plotly(plotly(chart)).classes("w-full").style(f"height: {chart.figure['layout'].get('height', 400)}px")
        )
        if opens is not None:
            plot.on("plotly_click", lambda e: opens(e.args))
    return place


def _draw_one_of(charts: Sequence[Chart], chosen: dict[str, str], *, small: bool) -> None:
    """Charts that share a place: a list to choose from, and below it the one that is chosen."""
    title, options = charts[0].title, {chart.choice: chart for chart in charts}
    if len(charts) == 1:
        draw(charts[0], small=small)
        return

    def choose(choice: str) -> None:
        chosen[title] = choice
        place.clear()
        with place:
            draw(options[choice], small=small)

    first = chosen[title] if chosen.get(title) in options else charts[0].choice
    picked = ui.select(list(options), value=first, label=f"{title}: which values", on_change=lambda e: choose(e.value))
    picked.props("outlined dense").classes("which")
    place = ui.element("div")
    choose(first)


async def board(page: Page) -> None:
    """Groups that compare, with intervals, rungs of evidence and the number tried; filtered and sorted by page.js."""
    with content():
        fragment(render("filter.html"))
        place = fragment("")

    def make(view: CampaignView) -> str:
        summary = summary_of(view)
        return render("board_page.html", **summary, link=experiment_link(view.campaign.id))

    await _redrawn(page, "board", make, place.set_content)


async def plots(page: Page) -> None:
    """Everything that is drawn, one below the other."""
    with content():
        place = drawing()
    small = await is_narrow()
    chosen: dict[str, str] = {}  # title -> choice of this viewer, who keeps it when a record changes

    def make(view: CampaignView) -> list[Chart]:
        found = [
            *standings(view, 4),
            claims(view),
            evidence(view),
            progress(view),
            discoveries(view),
            training(view),
            *trade(view),
            gates(view),
        ]
        return [chart for chart in found if chart is not None]

    def show(charts: list[Chart]) -> None:
        place.clear()
        with place:
            for indices in places(charts):
                _draw_one_of([charts[index] for index in indices], chosen, small=small)
            if not charts:
                draw(None)

    await _redrawn(page, "plots", make, show)


async def family(page: Page) -> None:
    """Who was made from whom; a mark opens its experiment."""
    with content():
        place = drawing()
    small = await is_narrow()

    def make(view: CampaignView) -> tuple[Chart | None, list[Descendant]]:
        return tree(view), descendants([*view.ancestors.values(), *view.experiments])

    def show(made: tuple[Chart | None, list[Descendant]]) -> None:
        chart, found = made
        place.clear()
        with place:
            draw(chart, "No candidate has an ancestor yet.", small=small, opens=lambda args: _opened(page, args))
            if found:
                fragment(render("descent.html", found=found, link=experiment_link(page.campaign)))

    await _redrawn(page, "tree", make, show)


def _opened(page: Page, args: Any) -> None:
    ident = args["points"][0].get("customdata") if isinstance(args, dict) and args.get("points") else None
    if isinstance(ident, str):
        ui.navigate.to(experiment_link(page.campaign) + ident)


async def _redrawn(page: Page, name: str, make: Callable[[CampaignView], Any], show: Callable[[Any], None]) -> None:
    drawn: list[Any] = [object()]

    async def update() -> None:
        made = await page.hub.rendered(name, page.campaign, make)
        if made is not drawn[0] and made != drawn[0]:
            drawn[0] = made
            show(made)

    await update()
    page.every(update, 2.0)
