"""What stands around every page: head, navigation, theme, the viewer's name, and the controls of a running campaign."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any
from urllib.parse import quote

from nicegui import app, ui

from move37.app import templating
from move37.app.page.hub import Hub, LiveFeed
from move37.app.page.standing import standing
from move37.app.text import bare, one_line
from move37.lab.archive.controls import ControlKind
from move37.lab.archive.store import Campaign
from move37.lab.errors import LabError

SECTIONS = (
    ("now", "Now"),
    ("board", "Leaderboard"),
    ("plots", "Plots"),
    ("tree", "Tree"),
    ("compare", "Compare"),
    ("story", "Story"),
    ("insight", "Insight"),
    ("memory", "Memory"),
)
EVERY = 1.0  # seconds between two looks of an open page
HERE_IN_SIGHT = "document.querySelector('nav.pages a.here')?.scrollIntoView({inline: 'center', block: 'nearest'})"
KEYS = "/ goes to the box · 1–8 change the page · p pauses and goes on · ? says this"


class Page:
    """One viewer's page about one campaign."""

    def __init__(self, hub: Hub, campaign: int, section: str) -> None:
        self.hub = hub
        self.campaign = campaign
        self.section = section
        self._viewer = ui.context.client
        self._status: Any = None
        self._pause: Any = None
        self._stop: Any = None
        self._go_on: Any = None
        self._bar: Any = None
        self._told: tuple[str, str, float] | None = None  # where the campaign stands, as it was drawn
        self._waiting = 0  # requests that the title of the tab tells of

    @property
    def user(self) -> str:
        """What this viewer's orders are signed with."""
        return one_line(str(app.storage.user.get("name") or "person"), 40)

    async def order(self, kind: ControlKind, *, text: str = "", experiment: str | None = None) -> bool:
        """Ask the campaign for something and say what it answered; whether it reached the campaign."""
        reached, answer = False, "the campaign does not run: go on with it first"
        try:
            if (await self.hub.live(self.campaign)).running:
                answer = await self.hub.order(self.campaign, kind, text=text, experiment=experiment, user=self.user)
                reached = True
        except (ValueError, LabError) as error:  # too long; or a full disk: what was typed is kept by whoever asked
            answer = str(error)
        # What was clicked may be gone by now, as a request that somebody else answered: the page itself is there.
        with self._viewer:
            ui.notify(bare(answer or "done"), position="top", multi_line=True, close_button="ok", timeout=6000)
        return reached

    def every(self, update: Callable[[], Awaitable[None]], seconds: float = EVERY) -> None:
        """Call `update` periodically, as long as the page is open."""
        ui.timer(seconds, update)

    # The frame -------------------------------------------------------------------------------------------------

    async def build(self) -> None:
        """Everything but the page's own content."""
        ui.add_css(styles())
        colours()
        self._theme()
        ui.add_body_html(
            '<noscript><p style="margin: 2rem">This page needs JavaScript; '
            f'<a href="/c/{self.campaign}/report.html">the report of this campaign</a> reads without it.</p></noscript>'
        )
        ui.add_body_html(f"<script>{keeping()}</script>")
        live = await self.hub.live(self.campaign)
        campaigns = await self.hub.campaigns()
        with ui.element("header").classes("top"):
            ui.html('<a class="skip" href="#content">Skip to the content</a>', sanitize=False)
            with ui.row().classes("bar items-center no-wrap"):
                ui.link("Move 37", "/").classes("brand")
                self._choose(campaigns)
                self._status = ui.html("", sanitize=False).classes("state")
                ui.space()
                self._controls()
            with ui.element("nav").props('aria-label="pages"').classes("pages"):
                for name, words in SECTIONS:
                    link = ui.link(words, f"/c/{self.campaign}/{name}")
                    if name == self.section:
                        link.classes("here").props('aria-current="page"')
            # On a phone the page that is looked at may stand out of sight in the row of pages.
            ui.run_javascript(HERE_IN_SIGHT)
            self._bar = ui.linear_progress(value=0, show_value=False, size="3px").props("aria-label=progress")
        self._keys()
        self._show(live)
        self.every(self._refresh)

    def _theme(self) -> None:
        kept = app.storage.user.get("dark")
        self._dark = ui.dark_mode(kept if isinstance(kept, bool) else None)

    def _choose(self, campaigns: tuple[Campaign, ...]) -> None:
        options = {c.id: f"{c.id}: {one_line(c.brief.task, 24)}, {c.status}" for c in reversed(campaigns)}
        chosen = ui.select(
            options, value=self.campaign, on_change=lambda e: ui.navigate.to(f"/c/{e.value}/{self.section or 'now'}")
        )
        chosen.props('dense borderless aria-label="campaign"').classes("campaign")

    def _controls(self) -> None:
        with ui.row().classes("controls items-center no-wrap"):
            self._pause = ui.button(icon="pause", on_click=self._paused).props('flat dense round aria-label="Pause"')
            self._stop = ui.button(icon="stop", on_click=self._stopped).props('flat dense round aria-label="Stop"')
            self._go_on = ui.button(
                icon="play_arrow", on_click=lambda: ui.navigate.to(f"/begin?campaign={self.campaign}")
            )
            self._go_on.props('flat dense round aria-label="Go on or extend"')
            with ui.button(icon="menu").props('flat dense round aria-label="Menu"'), ui.menu().props("auto-close"):
                ui.menu_item("New campaign", lambda: ui.navigate.to("/begin"))
                ui.menu_item("All campaigns", lambda: ui.navigate.to("/campaigns"))
                ui.menu_item("Report", lambda: ui.navigate.to(f"/c/{self.campaign}/report.html", new_tab=True))
                ui.menu_item("Data as CSV and JSON", lambda: ui.navigate.to(f"/c/{self.campaign}/data"))
                ui.separator()
                for words, value in (("Light", False), ("Dark", True), ("Like the system", None)):
                    ui.menu_item(words, lambda v=value: self._set_dark(v))
                ui.menu_item("Your name…", self._name)
                ui.menu_item("Keys", lambda: ui.notify(KEYS, position="top"))

    def _set_dark(self, value: bool | None) -> None:
        app.storage.user["dark"] = value
        self._dark.set_value(value)

    def _name(self) -> None:
        with ui.dialog() as dialog, ui.card():
            field = ui.input("What your lines are signed with", value=self.user).props("maxlength=40 autofocus")

            def keep() -> None:
                app.storage.user["name"] = one_line(str(field.value or ""), 40) or "person"
                dialog.close()

            field.on("keydown.enter", keep)
            ui.button("Keep", on_click=keep)
        dialog.open()

    async def _paused(self) -> None:
        live = await self.hub.live(self.campaign)
        await self.order(ControlKind.RESUME if live.state.get("paused") else ControlKind.PAUSE)

    async def _stopped(self) -> None:
        if await ask("Stop the campaign? What is finished is kept, and it can be gone on with.", yes="Stop"):
            await self.order(ControlKind.STOP)

    def _keys(self) -> None:
        async def pressed(event: Any) -> None:
            held = event.modifiers
            if not event.action.keydown or event.action.repeat or held.ctrl or held.meta or held.alt:
                return
            key = event.key.name
            if key.isdecimal() and 1 <= int(key) <= len(SECTIONS):
                ui.navigate.to(f"/c/{self.campaign}/{SECTIONS[int(key) - 1][0]}")
            elif key == "p":
                await self._paused()
            elif key == "?":
                ui.notify(KEYS, position="top")

        # Not while the user types in a field. The browser itself hears "/" (page.js): nothing typed after it is lost.
        ui.keyboard(on_key=pressed, ignore=["input", "select", "textarea"])

    async def _refresh(self) -> None:
        self._show(await self.hub.live(self.campaign))

    def _show(self, live: LiveFeed) -> None:
        told = word, detail, part = standing(live)
        if told != self._told:
            self._told = told
            self._status.set_content(render("standing.html", word=word, detail=detail))
        self._entitle(len(live.requests) if live.running else 0)
        self._bar.set_value(part)
        self._pause.set_visibility(live.running)
        self._stop.set_visibility(live.running)
        self._go_on.set_visibility(not live.running)
        self._pause.props(f"icon={'play_arrow' if word == 'paused' else 'pause'}")

    def _entitle(self, waiting: int) -> None:
        """The tab's title shows how many requests wait for an answer."""
        if waiting != self._waiting:
            self._waiting = waiting
            ui.page_title(f"({waiting}) Move 37" if waiting else "Move 37")


async def ask(question: str, *, yes: str) -> bool:
    """A question with two answers; closing it is no."""
    with ui.dialog() as dialog, ui.card():
        ui.label(question)
        with ui.row():
            ui.button(yes, on_click=lambda: dialog.submit(True)).props("color=negative")
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat")
    return bool(await dialog)


def colours() -> None:
    """Of buttons and marks; the theme's own stand in the style sheets."""
    ui.colors(primary="#2f6fde", positive="#12805a", negative="#c03b4e")


def content() -> Any:
    """Where a page's own content stands."""
    return ui.element("main").props('id="content" tabindex="-1"').classes("content")


def fragment(html: str) -> Any:
    """HTML that a template of ours made: escaped there, and not washed a second time."""
    return ui.html(html, sanitize=False)


def render(template: str, **values: Any) -> str:
    """One of app/templates."""
    return templating.html().get_template(template).render(**values)


def experiment_link(campaign: int) -> str:
    """What stands before an experiment's id in an address."""
    return f"/c/{quote(str(campaign))}/e/"


@cache
def keeping() -> str:
    """The script that keeps open what the viewer opened."""
    return (templating.FOLDER / "page.js").read_text(encoding="utf-8")


@cache
def styles() -> str:
    """The report's styles, themed by NiceGUI's switch instead of the system's alone, and what the page adds."""
    own = (templating.FOLDER / "page.css").read_text(encoding="utf-8")
    return templating.styles("body.body--dark { DARK }") + own
