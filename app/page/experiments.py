"""One experiment in full, and two or more beside each other."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from move37.app.page.frame import Page, content, experiment_link, fragment, render
from move37.app.page.results import draw, is_narrow
from move37.app.text import bare, one_line
from move37.app.views.campaign import CampaignView
from move37.app.views.charts import Chart, training
from move37.app.views.code import highlighted_difference
from move37.app.views.compare import comparison_of, oldest_first
from move37.app.views.conversation import utterances
from move37.app.views.experiment import detail_of
from move37.app.views.lineage import ancestry, children
from move37.lab.archive.controls import ControlKind
from move37.lab.records import ExperimentStatus, Role

MOST = 8  # experiments that are compared at once


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


def _made(page: Page, view: CampaignView, ident: str) -> tuple[str, str, Chart | None]:
    """Head and body as HTML, and the curves."""
    found = view.find(ident)
    if found is None:
        text = f"There is no experiment {one_line(ident, 60)} in campaign {page.campaign}."
        return "", render("quiet.html", text=text), None
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
    return head, body, training(view, {ident})


def _show(page: Page, view: CampaignView, ident: str, made: tuple[str, str, Chart | None], small: bool) -> None:
    found, (head, body, chart) = view.find(ident), made
    if found is not None:
        fragment(head)
        with ui.element("div").classes("tools"):
            _tools(page, ident, found.family, running=found.status is ExperimentStatus.RUNNING)
    fragment(body)
    if chart is not None:
        draw(chart, small=small)


def _tools(page: Page, ident: str, family: str, *, running: bool) -> None:
    flat = "flat dense size=sm"
    ui.button("Compare", on_click=lambda: ui.navigate.to(f"/c/{page.campaign}/compare?ids={ident}")).props(flat)
    ui.button("Pin as parent", on_click=lambda: page.order(ControlKind.PIN, experiment=ident)).props(flat)
    if family:
        ban = ui.button(f"Ban {one_line(bare(family), 30)}", on_click=lambda: page.order(ControlKind.BAN, text=family))
        ban.props(flat)
    if running:
        ui.button("Veto", on_click=lambda: page.order(ControlKind.VETO, experiment=ident)).props(
            f"{flat} color=negative"
        )


async def compare(page: Page, ids: str) -> None:
    """Any experiments of the campaign: values in common groups, curves over each other, the difference of two."""
    view = await page.hub.view(page.campaign)
    options = {e.id: f"{e.id} {one_line(bare(e.name), 40)}" for e in view.experiments}
    chosen = [i for i in ids.split(",") if i in options][:MOST]
    with content():
        fragment("<h2>Compare</h2>")
        picked = ui.select(options, value=chosen, multiple=True, label="Experiments").props(
            f'use-chips outlined dense max-values={MOST} use-input aria-label="experiments to compare"'
        )
        picked.classes("w-full")
        place = ui.element("div")

    small = await is_narrow()

    def show() -> None:
        place.clear()
        with place:
            _compared(view, list(picked.value or []), small)

    picked.on_value_change(show)
    show()


def _compared(view: CampaignView, ids: list[str], small: bool) -> None:
    found = oldest_first([e for i in ids if (e := view.find(i)) is not None])
    if not found:
        fragment(render("quiet.html", text="Choose two or more experiments."))
        return
    made = comparison_of(found, view.metric)
    fragment(render("compare.html", sections=made))
    draw(training(view, set(ids)), "None of these has a training curve.", small=small)
    codes = [e for e in found if e.candidate is not None]
    if len(codes) == 2:
        old, new = codes
        assert old.candidate is not None and new.candidate is not None
        changes = highlighted_difference(old.candidate.source, new.candidate.source, old.id)
        fragment(render("difference.html", title=f"From {old.name or old.id} to {new.name or new.id}", changes=changes))
