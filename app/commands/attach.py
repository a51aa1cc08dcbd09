"""`move37 attach`: sit down at a campaign that runs in another process."""

from __future__ import annotations

from typing import Annotated

import typer

from move37.app.exits import BadInput
from move37.app.reading import pick_campaign, reading


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("attach", help=_HELP, short_help="Sit down at a campaign that runs.")(attach)


_HELP = """Sit down at the campaign that runs in this home, whoever started it.

Look on, type at any moment, leave with Ctrl-D: the campaign goes on.

Several people may be there at once; each line is signed with its writer's name.

\b
  move37 attach
  move37 attach --name ada
"""


def attach(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Option(help="What your lines are signed with.  [default: your user name]", metavar="NAME")
    ] = None,
) -> int:
    """Needs a terminal: for programs there is `move37 chat` on a pipe."""
    import sys

    from move37.app.attach import attach as sit_down
    from move37.app.watch import is_running

    home = context.obj.home
    with reading(home) as archive:
        campaign = pick_campaign(archive)
    if not is_running(home, campaign):
        raise BadInput(f"no campaign runs in {home}: `move37 resume` goes on, `move37 chat` begins one")
    if not sys.stdin.isatty():
        raise BadInput("attach needs a terminal: look with `move37 list` and `move37 show ID --chat`")
    return sit_down(home, campaign.id, user=name or "")
