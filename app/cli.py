"""The command line: global options here, one file a command group under `app/commands/`, called one deep.

Every command module exposes `register(app)`. They are imported when the command line is built, so none of them imports
torch, a model or a database at module level; what a command needs it imports when it runs.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

COMMANDS = (
    "run",
    "chat",
    "attach",
    "resume",
    "list",
    "show",
    "report",
    "serve",
    "export",
    "finalize",
    "check",
    "measure",
    "confirm",
    "baseline",
    "calibrate",
    "audit",
    "paper",
    "compare",
    "exec",
    "principles",
    "ideas",
    "insight",
    "memory",
    "sandbox",
    "tidy",
    "models",
    "mcp",
    "answer",
    "bench",
    "doctor",
)

GROUPS = ("memory", "sandbox", "models")  # of commands

_HELP = """An autonomous scientist for neural architectures.

Agents negotiate a hypothesis, write a sequence mixer, debug it, train it in a sandbox beside seven baselines,
explain what happened and remember it. Without a key, a GPU or a server it searches with its own designer.

Start with: move37 run
"""


def build() -> typer.Typer:
    """The whole command, ready to be called."""
    app = typer.Typer(
        name="move37",
        help=_HELP,
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(everywhere)
    for name in COMMANDS:
        import_module(f"move37.app.commands.{name}").register(app)
    return app


def everywhere(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(help="Where campaigns are kept [default: MOVE37_HOME, or .move37 here].", metavar="DIR"),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="What is logged on stderr: debug, info, warning or error.", metavar="LEVEL")
    ] = None,
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=lambda v: _version(v)),
    ] = False,
) -> None:
    """Read the settings once; every command finds them in `context.obj`."""
    if context.resilient_parsing:
        return
    from move37.app import logs
    from move37.app.settings import load, unknown_variables

    settings = load({"home": home, "log_level": log_level})
    logs.to_console(settings.log_level)
    for sentence in unknown_variables():
        typer.echo(f"move37: {sentence}", err=True)
    context.obj = settings


def _version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"move37 {version('move37')}")
        except PackageNotFoundError:
            typer.echo("move37, not installed")
        raise typer.Exit
