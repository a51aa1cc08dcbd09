"""The command line: global options here, one file a command group under `app/commands/`, called one deep.

Global options may stand behind the command, too, where most people write them: `_also_behind` gives each command hidden
copies of them, so that completion knows them there.

Every command module exposes `register(app)`. They are imported when the command line is built, so none of them imports
torch, a model or a database at module level; what a command needs it imports when it runs.
"""

from __future__ import annotations

from copy import copy
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from move37.lab.machine import version_of

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


def command() -> Any:
    """What `build` describes, with the global options behind every command."""
    root = typer.main.get_command(build())
    mine = [param for param in root.params if param.name in ("home", "log_level", "show_version")]
    _also_behind(root, mine)
    return root


def _also_behind(group: Any, options: list[Any]) -> None:
    for below in group.commands.values():
        if not below.context_settings.get("ignore_unknown_options"):  # what follows `bench NAME` is the benchmark's
            below.params.extend(_behind(option) for option in options)
        if hasattr(below, "commands"):
            _also_behind(below, options)


def _behind(option: Any) -> Any:
    """A copy that is in no help page and no function's arguments; given, it is read over what stood before."""
    own = copy(option)
    own.hidden, own.expose_value = True, False
    if option.name != "show_version":
        own.callback = _read_again
    return own


def _read_again(context: Any, option: Any, value: Any) -> Any:
    if value is not None and context.resilient_parsing:  # the shell asks for completions of what lies there
        context.find_root().params[option.name] = value
    elif value is not None:
        context.obj = context.obj.with_flags(**{option.name: value})
        _log_to_console(context.obj.log_level)
    return value


def _log_to_console(level: str) -> None:
    from move37.app import logs

    logs.to_console(level)


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
        typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=lambda v: _tell(v)),
    ] = False,
) -> None:
    """Read the settings once; every command finds them in `context.obj`."""
    if context.resilient_parsing:
        return
    from move37.app.settings import load, unknown_variables

    settings = load({"home": home, "log_level": log_level})
    _log_to_console(settings.log_level)
    for sentence in unknown_variables():
        typer.echo(f"move37: {sentence}", err=True)
    context.obj = settings


def _tell(wanted: bool) -> None:
    if wanted:
        known = version_of("move37")
        typer.echo(f"move37 {known}" if known else "move37, not installed")
        raise typer.Exit
