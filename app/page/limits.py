"""The limits of a campaign that runs, as a form: the same as `/budget` at a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from move37.app.limits import change_of
from move37.app.page.frame import Page, fragment, render
from move37.app.text import bare
from move37.app.units import spell_count, spell_seconds
from move37.lab.archive.controls import ControlKind
from move37.lab.records import Brief

FIELDS = (
    ("candidates", "Candidates", "all that are tried"),
    ("time", "Time", "90m, 8h"),
    ("tokens", "Tokens", "500k, 2m"),
    ("cost", "Cost", "US dollars"),
)


async def open_limits(page: Page) -> None:
    """A dialog with what holds now; only what is filled in changes."""
    brief = (await page.hub.live(page.campaign)).campaign.brief
    with ui.dialog() as dialog, ui.card().classes("limits"):
        fragment("<h2>Limits of this campaign</h2><p>All sessions together. What stays empty stays as it is.</p>")
        now = current(brief)
        fields = {
            name: ui.input(label).props(f'dense outlined maxlength=20 hint="{now[name]}; {hint}"').classes("w-full")
            for name, label, hint in FIELDS
        }
        said = fragment("").props('aria-live="polite"')

        async def change() -> None:
            text = order_text({name: field.value for name, field in fields.items()})
            try:
                change_of(text)
            except ValueError as error:
                said.set_content(render("problem.html", text=bare(str(error))))
                return
            dialog.close()
            await page.order(ControlKind.BUDGET, text=text)

        with ui.row():
            ui.button("Change", on_click=change)
            ui.button("Cancel", on_click=dialog.close).props("flat")
    dialog.open()


def current(brief: Brief) -> dict[str, str]:
    """What holds now, in words. Pure."""
    return {
        "candidates": f"now {brief.budget}",
        "time": f"now {spell_seconds(brief.max_seconds)}" if brief.max_seconds is not None else "no limit of its own",
        "tokens": f"now {spell_count(brief.max_tokens)}" if brief.max_tokens is not None else "no limit",
        "cost": f"now {brief.max_cost:.2f}" if brief.max_cost is not None else "no limit",
    }


def order_text(fields: Mapping[str, Any]) -> str:
    """What was filled in, as it is typed after /budget; a limit is one word. Pure."""
    given = {name: "".join(str(value or "").split()) for name, value in fields.items()}
    return " ".join(f"{name} {value}" for name, value in given.items() if value)
