"""What `chat` and `resume --chat` start at a terminal: a process of its own, under the same settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from move37.app.attach import arguments
from move37.app.commands.options import OPTIONS, taking
from move37.app.commands.resume import AS_IT_BEGAN
from move37.app.settings import Settings, load

GIVEN = {  # of every option one that is not its default
    "task": ("--task", "program:folder"),
    "model": ("--model", "openai:x"),
    "base_url": ("--base-url", "http://127.0.0.1:1/v1"),
    "budget": ("--budget", "3"),
    "max_time": ("--max-time", "1h30m"),
    "max_tokens": ("--max-tokens", "50k"),
    "max_cost": ("--max-cost", "2.50"),
    "brief": ("--brief", "a direction.md"),
    "seed": ("--seed", "7"),
    "preset": ("--preset", "full"),
    "corpus": ("--corpus", "texts"),
    "scale": ("--scale", "small"),
    "device": ("--device", "cpu"),
    "approve": ("--approve", "code"),
    "approval_timeout": ("--approval-timeout", "90s"),
    "notify": ("--notify", "notify-send 'it ended'"),
    "confirm": ("--no-confirm",),
    "negotiation_rounds": ("--negotiation-rounds", "1"),
    "debug_attempts": ("--debug-attempts", "2"),
    "workers": ("--workers", "2"),
    "sandbox": ("--sandbox", "docker"),
    "runtime": ("--runtime", "crun"),
    "image": ("--image", "team/image:tag"),
}


def settings_of(names: list[str], *words: str) -> Settings:
    """The settings of a command that takes those options, called with these words."""
    app = typer.Typer()

    @app.command()
    @taking(*names)
    def command(settings: Settings) -> Settings:
        return settings

    called = typer.main.get_command(app)
    found = called.main(list(words), standalone_mode=False, obj=load({"home": Path("home")}))
    assert isinstance(found, Settings)
    return found


@pytest.mark.parametrize("name", [*OPTIONS, "all of them"])
def test_the_process_gets_the_settings_that_the_command_got(name: str) -> None:
    assert GIVEN.keys() == OPTIONS.keys()
    for names in (list(OPTIONS), [n for n in OPTIONS if n not in AS_IT_BEGAN]):  # of run and chat; of resume
        words = [word for n in names if name in (n, "all of them") for word in GIVEN[n]]
        settings = settings_of(names, *words)
        assert settings_of(names, *arguments(settings.flags)) == settings
        assert not words or settings != settings_of(names)
