"""The night's story, what the archive teaches, and a search in memory."""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from typing import Any

from nicegui import ui

from move37.app.page.frame import Page, content, experiment_link, fragment, render
from move37.app.page.results import draw, is_narrow
from move37.app.text import bare, one_line
from move37.app.views.insight import growth_charts, insight_sections
from move37.app.views.story import night_of

EXAMPLES = ("decay per channel", "forgets rare tokens", "state tracking beyond the training length")
LONGEST = 400  # characters that are searched for
SECONDS = 60.0  # that a search in memory may take: the first one loads the encoder


async def story(page: Page) -> None:
    """What was tried, what was learned, what waits."""
    with content():
        place = fragment("")
    drawn: list[Any] = [None]

    async def update() -> None:
        view, live = await page.hub.view(page.campaign), await page.hub.live(page.campaign)
        state = (view, live.requests, live.running)
        if state != drawn[0]:
            drawn[0] = state
            night = night_of(view, live.requests if live.running else (), running=live.running)
            place.set_content(render("story.html", night=night, link=experiment_link(page.campaign)))

    await update()
    page.every(update, 2.0)


async def insight(page: Page) -> None:
    """What the campaigns on this task teach together: reckoned when the page is opened."""
    with content():
        fragment("<h2>Insight</h2>")
        about = "Over all campaigns of this home on this task, as of now; open the page again for what came since."
        fragment(render("quiet.html", text=about))
        place = ui.element("div")
        with place:
            fragment(render("quiet.html", text="Reckoning …"))
    small = await is_narrow()
    view, found = await page.hub.view(page.campaign), await page.hub.insight(page.campaign)
    sections = insight_sections(found, view.metric)
    place.clear()
    with place:
        fragment(render("compare.html", sections=sections))
        for chart in growth_charts(found):
            draw(chart, small=small)
        if not sections:
            fragment(render("quiet.html", text="There is too little to learn from yet."))


async def memory(page: Page) -> None:
    """What papers teach and what was learned here, by meaning."""
    with content():
        fragment("<h2>Memory</h2>")
        with ui.element("div").classes("box"):
            field = ui.input(placeholder="a symptom, an operator, a question").props(
                f'outlined dense maxlength={LONGEST} autofocus aria-label="search memory" data-box=search'
            )
            button = ui.button("Search")
        examples = ui.element("div").classes("tools")
        place = fragment("")

    async def search() -> None:
        text = one_line(str(field.value or ""), LONGEST)
        if not text:
            return
        button.disable()
        place.set_content(render("quiet.html", text="Searching …"))
        found, problem = await _search(str(page.hub.home), text)
        button.enable()
        place.set_content(render("memory.html", found=found, problem=problem))

    async def search_for(words: str) -> None:
        field.set_value(words)
        await search()

    with examples:
        fragment("<span class='quiet'>For example</span>")
        for words in EXAMPLES:
            ui.button(words, on_click=partial(search_for, words)).props("flat dense size=sm")
    button.on_click(search)
    field.on("keydown.enter", search)


async def _search(home: str, text: str) -> tuple[list[dict[str, Any]], str]:
    """By `move37 memory search` in a process of its own: the encoder's memory is given back afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "move37", "--home", home, "memory", "search", "--json", "--", text),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return [], "the search took too long"
    said = (bare(err.decode("utf-8", errors="replace")).strip().splitlines() or [""])[-1]
    if process.returncode:
        return [], said or f"the search ended with status {process.returncode}"
    hits = [hit for query in json.loads(out) for hit in query["hits"]]
    return hits, "" if hits else said  # of an empty memory it says how to fill it
