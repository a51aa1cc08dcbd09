"""`move37 run`: a campaign on its own. `chat` is the same with a seat, so that its options stand here once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from move37.app.commands.options import OPTIONS, PROMISES, at_a_terminal, taking

if TYPE_CHECKING:
    from move37.app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", help=_HELP, short_help="Run a campaign on its own.")(campaign(interactive=False))


_HELP = """Run a campaign on its own, then print the leaderboard and write the report.

\b
  move37 run
  move37 run --budget 4 --seed 1
  move37 run --brief direction.md --max-time 30m
  move37 run --task program:my_folder
  move37 run --model openai:NAME --base-url http://127.0.0.1:8000/v1 --max-tokens 500k
"""
_HELP += PROMISES


def campaign(*, interactive: bool) -> Callable[..., int]:
    """The function behind run and chat. Everything is checked before anything is created."""

    @taking(*OPTIONS)
    def command(settings: Settings) -> int:
        if interactive and at_a_terminal():
            from move37.app.attach import start_and_attach

            return start_and_attach(settings.home, "run", settings.flags)
        from move37.app.session import conduct

        return conduct(settings, interactive=interactive)

    return command
