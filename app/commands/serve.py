"""`move37 serve`: the page."""

from __future__ import annotations

from typing import Annotated

import typer

from move37.app.exits import BadInput


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", help=_HELP, short_help="Serve the page: watch, speak, steer, compare.")(serve)


_HELP = """Serve the page of this home until Ctrl-C: the live conversation, the leaderboard, plots, the family tree,
every experiment, and the controls of the campaign that runs.

Campaigns run in processes of their own: stopping the page ends none of them. On an address that other machines reach a
token is demanded; it stands in the address that is printed.

\b
  move37 serve
  move37 serve --port 9000 --no-open
  move37 serve --host 0.0.0.0
"""


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Where to listen.", metavar="HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port.", metavar="PORT", min=1, max=65535)] = 8037,
    open_it: Annotated[bool, typer.Option("--open/--no-open", help="Open the browser.")] = True,
) -> None:
    """Blocks until it is stopped."""

    try:
        from move37.app.page.server import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("move37"):
            raise
        raise BadInput("the page needs the extra `page`: pip install 'move37[page]'") from error
    run(context.obj.home, host=host, port=port, open_browser=open_it)
