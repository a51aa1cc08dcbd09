"""`move37 show ID`: everything about one experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from move37.lab.records import Experiment


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show", help=_HELP, short_help="Show one experiment.")(show)


_HELP = """Show one experiment: hypothesis, gates, measurements, verdict, analysis.

ID is an experiment's id; in the latest campaign its number or a baseline's name will do.

\b
  move37 show c1-003
  move37 show 3 --source
  move37 show gated_delta --json
  move37 show 3 --chat
"""


def show(
    context: typer.Context,
    ident: Annotated[str, typer.Argument(metavar="ID", help="An experiment, as `move37 list` names it.")],
    chat: Annotated[bool, typer.Option("--chat", help="The conversation instead.")] = False,
    source: Annotated[bool, typer.Option("--source", help="The candidate's code alone, as it is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read and print; the archive is opened read-only."""
    from move37.app.exits import BadInput
    from move37.app.reading import pick_experiment, print_json, reading
    from move37.app.report.rows import chat_row, show_row

    if chat and source:
        raise BadInput("choose either --chat or --source")
    with reading(context.obj.home) as archive:
        experiment = pick_experiment(archive, ident)
        lines = archive.lines(experiment.id) if chat else ()
    if as_json:
        print_json([chat_row(line) for line in lines] if chat else show_row(experiment))
        return
    from move37.app.tables import conversation
    from move37.app.terminal import console

    screen = console()
    if chat:
        screen.print(conversation(lines))
    elif source:
        _print_source(screen, experiment)
    else:
        _print_all(screen, experiment)


def _print_source(screen: Console, experiment: Experiment) -> None:
    from move37.app.exits import BadInput

    if experiment.candidate is None:
        raise BadInput(f"{experiment.id} has no code: {experiment.reason or 'it has not been written yet'}")
    if screen.is_terminal:
        screen.print(_highlighted(experiment.candidate.source))
    else:
        typer.echo(experiment.candidate.source, nl=not experiment.candidate.source.endswith("\n"))


def _highlighted(source: str) -> object:
    from rich.syntax import Syntax

    from move37.app.text import harmless

    return Syntax(harmless(source), "python", theme="ansi_dark", background_color="default", word_wrap=True)


def _print_all(screen: Console, experiment: Experiment) -> None:
    from move37.app.sections import experiment_sections

    for part in experiment_sections(experiment):
        screen.print(part)
