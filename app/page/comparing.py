"""Experiments beside each other, also of several campaigns, and campaigns beside each other.

What is chosen stands in the address, so that it can be sent to somebody, opened again and gone back to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from nicegui import ui

from move37.app.page.frame import Page, content, fragment, render
from move37.app.page.hub import Hub
from move37.app.page.results import draw, drawing, is_narrow
from move37.app.text import bare, one_line
from move37.app.views.campaign import CampaignView
from move37.app.views.charts import campaigns_over_compute, training
from move37.app.views.code import highlighted_difference
from move37.app.views.compare import campaigns_table, comparable, comparison_of, first_choice, oldest_first

MOST = 8  # experiments that are compared at once
CAMPAIGNS = 12  # the newest ones; all can be chosen


async def experiments(page: Page, ids: str) -> None:
    """Any experiments of the home that measure the same on the same data: values in common groups, curves over each
    other, the difference of two.
    """
    view = await _with_others(page)
    options = {e.id: f"{e.id} {one_line(bare(e.name), 40)}" for e in view.experiments}
    wanted = [i for i in ids.split(",") if i] or first_choice(await page.hub.view(page.campaign))
    chosen = [i for i in dict.fromkeys(wanted) if i in options][:MOST]
    with content():
        fragment("<h2>Compare</h2>")
        if missing := [one_line(bare(i), 40) for i in wanted if i not in chosen]:
            fragment(
                render("quiet.html", text=f"Not shown: {', '.join(missing[:MOST])}. {MOST} at most, of this home.")
            )
        picked = _choice(options, chosen, "Experiments").props(f"max-values={MOST}")
        place = drawing()
    small = await is_narrow()
    _drawn_anew(picked, f"/c/{page.campaign}/compare", place, lambda ids: _compared(view, ids, small))


async def campaigns(hub: Hub, ids: str) -> None:
    """Campaigns of the home, and the best value against compute for those whose numbers compare."""
    every = {str(c.id): c for c in await hub.campaigns()}
    options = {i: f"{i}: {one_line(c.brief.task, 40)}, {c.status}" for i, c in reversed(every.items())}
    chosen = [i for i in dict.fromkeys(ids.split(",")) if i in every] or list(every)[-CAMPAIGNS:][::-1]
    with content():
        fragment("<h2>Campaigns</h2>")
        if not every:
            fragment(render("quiet.html", text="Nothing has run in this home yet."))
            return
        picked = _choice(options, chosen, "Campaigns")
        place = drawing()
    small = await is_narrow()
    views = {i: await hub.view(every[i].id) for i in chosen}

    def show(ids: Sequence[str]) -> None:
        found = [views[i] for i in ids]
        fragment(render("campaigns.html", table=campaigns_table(found)))
        for chart in campaigns_over_compute(found[::-1]):
            draw(chart, small=small)

    async def read(ids: Sequence[str]) -> None:
        for ident in ids:
            views[ident] = await hub.view(every[ident].id)

    _drawn_anew(picked, "/campaigns", place, show, read)


def _choice(options: dict[str, str], chosen: list[str], label: str) -> Any:
    """A field to choose several in, by typing a part of their names."""
    field = ui.select(options, value=chosen, multiple=True, with_input=True, label=label)
    return field.props(f'use-chips outlined dense aria-label="{label.lower()} to compare"').classes("w-full")


def _drawn_anew(
    picked: Any,
    address: str,
    place: Any,
    show: Callable[[list[str]], None],
    read: Callable[[list[str]], Any] | None = None,
) -> None:
    """Draw what is chosen, now and whenever that changes; the address tells it, too."""

    def draw_all(ids: list[str]) -> None:
        place.clear()
        with place:
            show(ids)

    async def changed() -> None:
        ids = list(picked.value or [])
        if read is not None:
            await read(ids)
        ui.navigate.history.replace(f"{address}?ids={','.join(quote(i) for i in ids)}")
        draw_all(ids)

    picked.on_value_change(changed)
    draw_all(list(picked.value or []))


async def _with_others(page: Page) -> CampaignView:
    """The campaign with the experiments and curves of the newest others of its task and data."""
    own = await page.hub.view(page.campaign)
    newest = (await page.hub.campaigns())[::-1][:CAMPAIGNS]
    views = [await page.hub.view(c.id) for c in newest if c.id != own.campaign.id]
    same = [v for v in views if comparable(v, own)]
    known = {e.id: e for v in (own, *same) for e in v.experiments}
    return replace(own, experiments=tuple(known.values()), curves=tuple(c for v in (own, *same) for c in v.curves))


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
