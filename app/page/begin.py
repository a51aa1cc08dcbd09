"""Begin a campaign, or go on with one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from nicegui import ui

from move37.app.choices import Approve, Backend, Preset
from move37.app.exits import BadInput, EnvironmentFault
from move37.app.page import form
from move37.app.page.frame import content, fragment, render
from move37.app.page.hub import Hub
from move37.app.settings import load
from move37.app.starting import start
from move37.app.text import bare, one_line
from move37.lab.errors import LabError
from move37.lab.tasks.registry import usage


async def begin(hub: Hub, campaign: str) -> None:
    """A form; without a campaign a new one is begun."""
    campaigns = {str(c.id): c for c in await hub.campaigns()}
    old = campaigns.get(campaign)
    with content(), ui.element("div").classes("form"):
        if campaign and old is None:
            missing = f"There is no campaign {one_line(campaign, 20)} in this home: this begins a new one."
            fragment(render("quiet.html", text=missing))
        fragment(render("begin.html", old=old, first=not campaigns))
        try:
            settings = load({"home": hub.home})
            shown = form.of_an_old_one(settings, old) if old else form.of_a_new_one(settings)
        except BadInput as error:  # of move37.toml or the environment
            fragment(render("problem.html", text=bare(str(error))))
            return
        fields = _fields(shown, again=old is not None)
        for field in fields.values():
            field.props("outlined dense").classes("w-full")
        button = ui.button("Go on" if old else "Begin")
        status = fragment("")

        async def go() -> None:
            button.disable()
            said = ["Starting … the first sign comes within a minute."]  # then what its process says, as it waits
            telling = ui.timer(1.0, lambda: status.set_content(render("quiet.html", text=bare(said[-1]))))
            status.set_content(render("quiet.html", text=said[-1]))
            try:
                number = await _started(
                    hub.home,
                    old.id if old else None,
                    form.changed({k: f.value for k, f in fields.items()}, shown),
                    said.append,
                )
                ui.navigate.to(f"/c/{number}/now")
            except (BadInput, EnvironmentFault, LabError, OSError) as error:
                telling.cancel()
                status.set_content(render("problem.html", text=bare(str(error))))
                button.enable()

        button.on_click(go)


def _fields(shown: Mapping[str, str], *, again: bool) -> dict[str, Any]:
    """One field for each thing that is shown, in the form's order. `again`: of a campaign that goes on."""
    limit = "all sessions together" if again else "empty: no limit"
    makers: dict[str, Callable[[str], Any]] = {
        "task": _field("Task", usage()),
        "model": _field("Model", "designer, openai:NAME, anthropic:NAME, ollama:NAME, local:NAME"),
        "base_url": _field("Endpoint of the model", "only for an OpenAI-compatible server of your own"),
        "brief": _text,
        "corpus": _field("Your own text", "a file or folder on this machine; empty: the built-in one"),
        "preset": _choice("Preset", Preset),
        "seed": _field("Seed", "makes the search repeatable"),
        "budget": _field("Candidates to try", "all sessions together" if again else "empty: the preset's own"),
        "max_time": _field("End after", f"90s, 10m, 1h30m; {limit if again else 'empty: as the preset plans'}"),
        "max_tokens": _field("End after tokens", f"50k, 2m; {limit}"),
        "max_cost": _field("End after US dollars", f"2.50; {limit}"),
        "approve": _choice("What waits for your word", Approve),
        "sandbox": _choice("Where code runs", Backend),
    }
    return {name: make(shown[name]) for name, make in makers.items() if name in shown}


def _field(label: str, hint: str) -> Callable[[str], Any]:
    return lambda value: ui.input(label, value=value).props(f'hint="{hint}" maxlength={max(400, len(value))}')


def _text(value: str) -> Any:
    return ui.textarea(label="What you want, in Markdown", value=value).props(
        f"maxlength={max(20_000, len(value))} autogrow"
    )


def _choice(label: str, words: Any) -> Callable[[str], Any]:
    return lambda value: ui.select(list(get_args(words)), value=value, label=label)


async def _started(home: Path, resume: int | None, flags: dict[str, str], tell: Callable[[str], None]) -> int:
    """The number of the campaign that runs now. Raises with what its process said when it did not begin."""
    if "brief" in flags:
        folder = home / "briefs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{secrets.token_hex(4)}.md"
        path.write_text(flags["brief"], encoding="utf-8")
        flags["brief"] = str(path)
    more = ("--campaign", str(resume)) if resume is not None else ()
    command = "resume" if resume is not None else "run"
    return await asyncio.to_thread(start, home.absolute(), command, flags, more, tell=tell)
