"""`move37 mcp`: a coding agent as the scientist, over the Model Context Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from move37.app.commands.options import taking
from move37.app.exits import EnvironmentFault

if TYPE_CHECKING:
    from move37.app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mcp", help=_HELP, short_help="Let a coding agent be the scientist.")(mcp)


_HELP = """Let a coding agent be the scientist: a server of the Model Context Protocol.

It speaks on stdin and stdout, as coding agents start it; with --port, over HTTP on this machine. The home's unfinished
campaign of an external agent is taken up again, else one begins.

\b
  move37 mcp --budget 12 --task program:my_folder
  move37 --home night mcp --brief direction.md --max-time 8h
  move37 mcp --port 8765
"""


@taking(
    "task", "budget", "max_time", "brief", "seed", "preset", "corpus", "approve", "approval_timeout", "notify",
    "workers", "sandbox", "runtime", "image",
)  # fmt: skip
def mcp(
    settings: Settings,
    port: Annotated[
        int | None, typer.Option(help="HTTP on 127.0.0.1 instead of stdio.", metavar="PORT", min=0, max=65535)
    ] = None,
) -> None:
    """Serve until the client leaves, or until it is ended."""
    from move37.app.session import check_home

    check_home(settings.home)
    try:
        from move37.app.mcp import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "mcp":
            raise
        raise EnvironmentFault("the MCP SDK is not installed: pip install 'move37[mcp]'") from error
    serve.serve(settings, port=port)
