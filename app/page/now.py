"""Now: the live conversation with an input box, requests that wait for approval, and running experiments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from nicegui import ui

from move37.app.orders import HELP, LOOKUPS, VERBS, Order, control_kind, control_text, understand
from move37.app.page.frame import Page, content, experiment_link, fragment, render
from move37.app.page.hub import LiveFeed
from move37.app.page.limits import open_limits
from move37.app.page.standing import standing
from move37.app.reading import meant
from move37.app.text import bare
from move37.app.views import now
from move37.app.views.campaign import CampaignView
from move37.app.views.conversation import in_order, utterances
from move37.app.views.evidence import shown_by
from move37.app.views.words import direction
from move37.lab.archive.controls import ControlKind
from move37.lab.archive.live import Curve, StoredRequest
from move37.lab.archive.message import Message
from move37.lab.errors import UnknownExperiment

SHOWN = 150  # of the newest lines
LONGEST = 8_000  # characters of a line that is typed
ALL_LINES = "Each experiment's page has its own; all of them are under Data in the menu."
HINTS = "Say something to whoever speaks next, or type /help"


class Now:
    """The live view of one viewer."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._said: tuple[Message, ...] | None = None  # what was said, as it was drawn
        self._parts: list[tuple[int, Any]] = []  # how many lines each piece of the conversation holds
        self._asked: dict[tuple[str, str, str], tuple[Any, Any]] = {}  # a request -> its card, and its line about time
        self._drawn: Any = None

    async def build(self) -> None:
        """Draw, and keep drawing."""
        with content(), ui.element("div").classes("now"):
            with ui.element("section").props('aria-label="conversation"').classes("said"):
                self._stream = ui.element("div").classes("panel stream").props('aria-live="polite" tabindex="0"')
                with self._stream:
                    self._older, self._lines = fragment(""), ui.element("div")
                self._box()
            with ui.element("section").props('aria-label="what waits and runs"'):
                self._requests = ui.element("div").props('aria-live="assertive"').classes("requests")
                self._running = fragment("").classes("panel running")
        await self.update()
        self._page.every(self.update)

    def _box(self) -> None:
        with ui.element("div").classes("box"):
            self._field = ui.textarea(placeholder=HINTS).props(
                f'outlined dense autogrow maxlength={LONGEST} rows=1 aria-label="say something" data-box=commands'
            )
            # Return sends, with Shift it begins a line.
            self._field.on(
                "keydown.enter",
                self.send,
                js_handler="(e) => { if (!e.shiftKey && !e.isComposing) { e.preventDefault(); emit(); } }",
            )
            ui.button(icon="send", on_click=self.send).props('aria-label="Send" dense')
        with ui.element("div").classes("tools"):
            ui.button("Propose a file", on_click=self._propose_file).props("flat dense size=sm")
            ui.button("Pin", on_click=lambda: self._begin("/pin ")).props("flat dense size=sm")
            ui.button("Ban a family", on_click=lambda: self._begin("/ban ")).props("flat dense size=sm")
            ui.button("Budget", on_click=lambda: open_limits(self._page)).props("flat dense size=sm")
            ui.button("Undo", on_click=lambda: self._page.order(ControlKind.UNDO)).props("flat dense size=sm")

    def _begin(self, command: str) -> None:
        """A command before what is typed already; in place of another command."""
        typed = str(self._field.value or "")
        self._field.set_value(command if typed.startswith("/") else command + typed)
        self._field.run_method("focus")

    async def send(self) -> None:
        """What was typed, understood as at the terminal. What cannot be done stays in the box."""
        text = str(self._field.value or "").strip()[:LONGEST]
        order = _understood(text)
        kind = control_kind(order)
        if kind is None and order.verb not in LOOKUPS:
            if order.problem:
                ui.notify(bare(order.problem), position="top", multi_line=True)
            return
        # At once: the answer may take seconds, a second Return must send nothing, and the next line may begin.
        self._field.set_value("")
        if kind is None:
            await self._look_up(order.verb, order.text)
        else:
            reached = await self._page.order(kind, text=control_text(order), experiment=order.experiment or None)
            if not reached and not self._field.value:
                self._field.set_value(text)
        await self.update()

    async def _look_up(self, verb: str, ident: str) -> None:
        if verb in ("show", "diff", "why"):
            view = await self._page.hub.view(self._page.campaign)
            try:
                found = meant(ident, view.experiments, view.experiments)
            except UnknownExperiment as error:
                ui.notify(bare(str(error)), position="top", multi_line=True)
                return
            ui.navigate.to(experiment_link(self._page.campaign) + quote(found.id))
        elif verb == "status":
            word, detail, _ = standing(await self._page.hub.live(self._page.campaign))
            ui.notify(f"{word}: {detail}" if detail else word, position="top", multi_line=True)
        elif verb == "ideas":
            ui.navigate.to(f"/c/{self._page.campaign}/board")
        elif verb == "help":
            with ui.dialog() as dialog, ui.card():
                forms = [(form, meaning) for form, meaning in HELP if form.split()[0][1:] in VERBS or form[0] != "/"]
                fragment(render("pairs.html", pairs=forms))
                ui.button("Close", on_click=dialog.close).props("flat")
            dialog.open()

    def _propose_file(self) -> None:
        with ui.dialog() as dialog, ui.card():
            ui.label("A hypothesis in words, or a candidate's source, for the next experiment. At most 100 kB.")

            async def taken(event: Any) -> None:
                text = (await event.file.read()).decode("utf-8", errors="replace")
                dialog.close()
                await self._page.order(ControlKind.PROPOSE, text=text)

            ui.upload(on_upload=taken, max_file_size=100_000, auto_upload=True, on_rejected=_too_large)
        dialog.open()

    # Drawing -----------------------------------------------------------------------------------------------------

    async def update(self) -> None:
        """What changed since the last look."""
        live = await self._page.hub.live(self._page.campaign)
        view = await self._page.hub.view(self._page.campaign)
        self._draw_said(await self._page.hub.rendered("said", self._page.campaign, in_order))
        self._draw_requests(live, view)
        state = (view, live.state, live.controls, live.running, live.curve_points, live.requests)
        if state != self._drawn:
            self._drawn = state
            curves = await self._page.hub.curves(self._page.campaign) if live.running else ()
            made = await self._page.hub.once(
                "running", self._page.campaign, (view, live), lambda: _running(view, live, curves)
            )
            self._running.set_content(made)

    def _draw_said(self, every: tuple[Message, ...]) -> None:
        """What is new below what stands there; all anew where an old line changed: who heard it is known later."""
        before = self._said
        if every is before or every == before:
            return
        old = len(before) if before and every[: len(before)] == before else 0
        new = every[old:]
        if not old:
            self._lines.clear()
            self._parts = []
        with self._lines:
            html = _talk(new[-SHOWN:], self._page.campaign) or "<p class='quiet'>Nobody has spoken yet.</p>"
            self._parts.append((len(new[-SHOWN:]), fragment(html)))
        while len(self._parts) > 1 and sum(count for count, _ in self._parts[1:]) >= SHOWN:
            self._parts.pop(0)[1].delete()  # a page that is open all night holds no more than one that was opened now
        shown = sum(count for count, _ in self._parts)
        older = f"The newest {shown} of {len(every)} lines. {ALL_LINES}" if len(every) > shown else ""
        self._older.set_content(render("quiet.html", text=older) if older else "")
        self._said = every
        ui.run_javascript(
            f"const s = getHtmlElement({self._stream.id});"
            f"if ({str(not before).lower()} || s.scrollHeight - s.scrollTop - s.clientHeight < 400)"
            " s.scrollTop = s.scrollHeight;"
        )

    def _draw_requests(self, live: LiveFeed, view: CampaignView) -> None:
        """A card a request. One that stays is not drawn again: the reason that somebody types there would be lost."""
        waiting = {(r.experiment, r.kind, r.at): r for r in (live.requests if live.running else ())}
        for gone in self._asked.keys() - waiting.keys():
            self._asked.pop(gone)[0].delete()
        for key, request in waiting.items():
            if key not in self._asked:
                with self._requests:
                    self._asked[key] = self._draw_request(request, view)
            _, line = self._asked[key]
            line.set_text(now.deadline(request, datetime.now(UTC), paused=bool(live.state.get("paused"))))

    def _draw_request(self, request: StoredRequest, view: CampaignView) -> tuple[Any, Any]:
        found = view.find(request.experiment)
        with ui.element("div").classes("request") as card:
            fragment(render("requests.html", request=request, name=found.name if found else ""))
            line = ui.label().classes("quiet")
            reason = ui.input("Why not").props("dense maxlength=400").classes("w-full")

            async def say(kind: ControlKind) -> None:
                await self._page.order(kind, text=str(reason.value or ""), experiment=request.experiment)
                await self.update()

            with ui.row():
                ui.button("Approve", on_click=lambda: say(ControlKind.APPROVE)).props("color=positive dense")
                ui.button("Veto", on_click=lambda: say(ControlKind.VETO)).props("color=negative dense")
        return card, line


def _understood(text: str) -> Order:
    """As at the terminal, but a preference or a proposal may have several lines here."""
    if text and not text.startswith("/"):
        return Order(verb="say", text=text)
    word, _, rest = text.partition(" ")
    if word == "/propose" and rest.strip():
        return Order(verb="propose", text=rest.strip())
    return understand(" ".join(text.split()))


def _running(view: CampaignView, live: LiveFeed, curves: tuple[Curve, ...]) -> str:
    asked = {r.experiment for r in live.requests} if live.running else set()
    return render(
        "running.html",
        running=now.at_work(view, live.state, curves, asked) if live.running else [],
        idle="Nothing runs now." if asked or not live.running else "The campaign prepares.",
        leaders=now.leaders(view),
        claimed=[(e, shown_by(e, view.metric)) for e in view.candidates if e.claim is not None],
        direction=direction(view.metric),
        told=now.told(live.state, live.controls),
        link=experiment_link(view.campaign.id),
    )


def _talk(lines: Sequence[Message], campaign: int) -> str:
    return render("talk.html", said=utterances(lines), link=experiment_link(campaign)) if lines else ""


def _too_large() -> None:
    ui.notify("that file is too large: at most 100 kB", position="top")
