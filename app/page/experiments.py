"""One experiment in full."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from nicegui import ui

from move37.app.page.frame import Page, content, experiment_link, fragment, render
from move37.app.page.results import draw, is_narrow
from move37.app.text import bare, one_line
from move37.app.views.campaign import CampaignView
from move37.app.views.charts import Chart, training
from move37.app.views.conversation import utterances
from move37.app.views.experiment import detail_of
from move37.app.views.lineage import ancestry, children
from move37.lab.archive.controls import ControlKind
from move37.lab.records import Experiment, ExperimentStatus, Role


async def experiment(page: Page, ident: str) -> None:
    """Hypothesis, difference, gates, curves, analysis, memory, conversation, and what may be done with it."""
    seen: list[Any] = [None, None]  # the records that were looked at last, and what was drawn of them
    with content():
        place = ui.element("div")

    async def update() -> None:
        view = await page.hub.view(page.campaign)
        if view is seen[0]:
            return
        made = _made(page, view, ident)
        if made != seen[1]:  # what others did since leaves this one as it was
            place.clear()
            with place:
                _show(page, view, ident, made, small)
        seen[:] = view, made

    small = await is_narrow()
    await update()
    page.every(update, 2.0)


def _made(page: Page, view: CampaignView, ident: str) -> tuple[str, str, Chart | None, str]:
    """Head and body as HTML, the curves, and the id of what it was made from."""
    found = view.find(ident)
    if found is None:
        text = f"There is no experiment {one_line(ident, 60)} in campaign {page.campaign}."
        return "", render("quiet.html", text=text), None, ""
    made_from = ancestry([*view.ancestors.values(), *view.experiments])
    head = render(
        "experiment_head.html",
        e=found,
        link=experiment_link(page.campaign),
        ancestor=made_from.get(ident, ""),
        children=children(made_from).get(ident, []),
    )
    body = render(
        "experiment.html",
        detail=detail_of(view, found),
        said=utterances(view.lines.get(ident, ())),
        open_code=found.role is Role.CANDIDATE,
    )
    return head, body, training(view, {ident}), made_from.get(ident, "")


def _show(page: Page, view: CampaignView, ident: str, made: tuple[str, str, Chart | None, str], small: bool) -> None:
    found, (head, body, chart, ancestor) = view.find(ident), made
    if found is not None:
        fragment(head)
        with ui.element("div").classes("tools"):
            _tools(page, found, ancestor)
    fragment(body)
    if chart is not None:
        draw(chart, small=small)


def _tools(page: Page, found: Experiment, ancestor: str) -> None:
    flat, ident, family = "flat dense size=sm", found.id, found.family
    beside = f"/c/{page.campaign}/compare?ids=" + ",".join(quote(i) for i in (ancestor, ident) if i)
    ui.button("Compare", on_click=lambda: ui.navigate.to(beside)).props(flat)
    ui.button("Pin as parent", on_click=lambda: page.order(ControlKind.PIN, experiment=ident)).props(flat)
    if family:
        ban = ui.button(f"Ban {one_line(bare(family), 30)}", on_click=lambda: page.order(ControlKind.BAN, text=family))
        ban.props(flat)
    if found.status is ExperimentStatus.RUNNING:
        ui.button("Veto", on_click=lambda: page.order(ControlKind.VETO, experiment=ident)).props(
            f"{flat} color=negative"
        )
