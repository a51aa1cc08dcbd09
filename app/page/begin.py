"""Begin a campaign, or go on with one."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any, get_args

from nicegui import ui

from move37.app.attach import start
from move37.app.choices import Approve, Backend, Preset
from move37.app.exits import BadInput, EnvironmentFault
from move37.app.page.frame import content, fragment, render
from move37.app.page.hub import Hub
from move37.app.text import bare, one_line
from move37.lab.errors import LabError
from move37.lab.tasks.registry import DEFAULT, usage


async def begin(hub: Hub, campaign: str) -> None:
    """A form; without a campaign a new one is begun."""
    campaigns = {str(c.id): c for c in await hub.campaigns()}
    old = campaigns.get(campaign)
    with content(), ui.element("div").classes("form"):
        if campaign and old is None:
            missing = f"There is no campaign {one_line(campaign, 20)} in this home: this begins a new one."
            fragment(render("quiet.html", text=missing))
        fragment(render("begin.html", old=old, first=not campaigns))
        fields: dict[str, Any] = {}
        if old is None:
            fields |= _fields_of_a_new_one()
        fields["budget"] = _field("Candidates to try", str(old.brief.budget) if old else "", "the preset's own")
        fields["max_time"] = _field("End after", "", "90s, 10m, 1h30m; empty: no limit of its own")
        fields["max_tokens"] = _field("End after tokens", "", "50k, 2m; empty: no limit")
        fields["approve"] = ui.select(list(get_args(Approve)), value="never", label="What waits for your word")
        fields["sandbox"] = ui.select(list(get_args(Backend)), value="auto", label="Where code runs")
        for field in fields.values():
            field.props("outlined dense").classes("w-full")
        button = ui.button("Go on" if old else "Begin")
        status = fragment("")

        async def go() -> None:
            button.disable()
            status.set_content(render("quiet.html", text="Starting … the first sign comes within a minute."))
            try:
                number = await _started(hub.home, old.id if old else None, {k: f.value for k, f in fields.items()})
                ui.navigate.to(f"/c/{number}/now")
            except (BadInput, EnvironmentFault, LabError, OSError) as error:
                status.set_content(render("problem.html", text=bare(str(error))))
                button.enable()

        button.on_click(go)


def _fields_of_a_new_one() -> dict[str, Any]:
    return {
        "task": _field("Task", DEFAULT, usage()),
        "model": _field("Model", "designer", "designer, openai:NAME, anthropic:NAME, ollama:NAME, local:NAME"),
        "base_url": _field("Endpoint of the model", "", "only for an OpenAI-compatible server of your own"),
        "brief": ui.textarea(label="What you want, in Markdown").props("maxlength=20000 autogrow"),
        "preset": ui.select(list(get_args(Preset)), value="quick", label="Preset"),
        "seed": _field("Seed", "0", "makes the search repeatable"),
    }


def _field(label: str, value: str, hint: str) -> Any:
    return ui.input(label, value=value).props(f'hint="{hint}" maxlength=400')


async def _started(home: Path, resume: int | None, values: dict[str, Any]) -> int:
    """The number of the campaign that runs now. Raises with what its process said when it did not begin."""
    flags = {k: str(v).strip() for k, v in values.items() if v is not None and str(v).strip()}
    if "brief" in flags:
        folder = home / "briefs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{secrets.token_hex(4)}.md"
        path.write_text(flags["brief"], encoding="utf-8")
        flags["brief"] = str(path)
    more = ("--campaign", str(resume)) if resume is not None else ()
    return await asyncio.to_thread(start, home.absolute(), "resume" if resume else "run", flags, more)
