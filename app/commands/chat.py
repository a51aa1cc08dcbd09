"""`move37 chat`: the same campaign as `run`, with the user taking part."""

from __future__ import annotations

import typer

from move37.app.commands.options import PROMISES
from move37.app.commands.run import campaign


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("chat", help=_HELP, short_help="Run a campaign and take part in it.")(campaign(interactive=True))


_HELP = """Run a campaign and take part in it: type at any moment, the next speaker answers.

Type /help at the prompt for what else you can do: propose, approve, veto, pin, ban, pause, look things up. At a
terminal the campaign runs in a process of its own: Ctrl-D leaves, `move37 attach` comes back. Lines may also come
through a pipe; its end does not end the campaign.

\b
  move37 chat
  move37 chat --approve hypotheses
  printf 'try a short convolution\\n' | move37 chat --budget 2
"""
_HELP += PROMISES
