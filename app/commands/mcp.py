"""`move37 mcp`: a coding agent as the scientist, over the Model Context Protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from move37.app.commands import options as o
from move37.app.exits import EnvironmentFault


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mcp", help=_HELP, short_help="Let a coding agent be the scientist.")(mcp)


_HELP = """Let a coding agent be the scientist: a server of the Model Context Protocol.

It speaks on stdin and stdout, as coding agents start it; with --port, over HTTP on this machine. The home's unfinished
campaign of an outsider is taken up again, else one begins.

\b
  move37 mcp --budget 12 --task program:my_folder
  move37 --home night mcp --brief direction.md --max-time 8h
  move37 mcp --port 8765
"""


def mcp(
    context: typer.Context,
    task: o.Task = None,
    budget: o.Budget = None,
    max_time: o.MaxTime = None,
    brief: o.BriefFile = None,
    seed: o.Seed = None,
    preset: o.Preset = None,
    corpus: o.Corpus = None,
    workers: o.Workers = None,
    sandbox: o.SandboxName = None,
    runtime: o.Runtime = None,
    image: o.Image = None,
    port: Annotated[
        int | None, typer.Option(help="HTTP on 127.0.0.1 instead of stdio.", metavar="PORT", min=0, max=65535)
    ] = None,
) -> None:
    """Serve until the client leaves, or until it is ended."""
    settings = context.obj.with_flags(**o.given({n: v for n, v in context.params.items() if n != "port"}))
    from move37.app.session import check_home

    check_home(settings.home)
    try:
        from move37.app.mcp import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "mcp":
            raise
        raise EnvironmentFault("the MCP SDK is not installed: pip install 'move37[mcp]'") from error
    serve.serve(settings, port=port)
