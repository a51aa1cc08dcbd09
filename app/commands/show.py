"""`move37 show ID`: everything about one experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from move37.app.exits import BadInput
from move37.app.reading import completions, pick_experiment, print_csv, print_json, reading
from move37.app.text import harmless

if TYPE_CHECKING:
    from rich.console import Console

    from move37.app.views.campaign import CampaignView
    from move37.app.views.experiment import Detail
    from move37.lab.archive.message import Message
    from move37.lab.records import Experiment


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show", help=_HELP, short_help="Show one experiment.")(show)


_HELP = """Show one experiment: hypothesis, gates, measurements, verdict, analysis.

ID is an experiment's id; in the latest campaign its number or a baseline's name will do.

\b
  move37 show c1-003
  move37 show 3 --source
  move37 show 3 --diff
  move37 show gated_delta_net --json
  move37 show 3 --chat
  move37 show 3 --csv > runs.csv
"""


def show(
    context: typer.Context,
    ident: Annotated[
        str,
        typer.Argument(metavar="ID", help="An experiment, as `move37 list` names it.", autocompletion=completions),
    ],
    chat: Annotated[bool, typer.Option("--chat", help="The conversation instead.")] = False,
    source: Annotated[bool, typer.Option("--source", help="The candidate's code alone, as it is.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Its code against what it was made from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every run as CSV.")] = False,
) -> None:
    """Read and print; the archive is opened read-only."""
    from move37.app.views.campaign import metric_of, view_of
    from move37.app.views.rows import chat_row, measurement_rows, show_row

    if sum((chat, source, diff)) > 1 or (as_json and as_csv):
        raise BadInput("choose one of --chat, --source and --diff, and one of --json and --csv")
    with reading(context.obj.home) as archive:
        experiment = pick_experiment(archive, ident)
        campaign = archive.campaign(experiment.campaign)
        lines = archive.lines(experiment.id) if chat else ()
        view = view_of(archive, campaign) if not (as_json or as_csv or chat or source) else None
    if as_json:
        print_json([chat_row(line) for line in lines] if chat else show_row(experiment, metric_of(campaign)))
    elif as_csv:
        print_csv([chat_row(line) for line in lines] if chat else measurement_rows([experiment]))
    elif view is not None:
        _print_view(view, experiment, diff=diff)
    else:
        _print_plain(experiment, lines, source=source)


def _print_plain(experiment: Experiment, lines: tuple[Message, ...], *, source: bool) -> None:
    from move37.app.tables import conversation
    from move37.app.terminal import console

    if source:
        _print_source(console(), experiment)
    else:
        console().print(conversation(lines))


def _print_view(view: CampaignView, experiment: Experiment, *, diff: bool) -> None:
    from move37.app.tables import experiment_sections
    from move37.app.terminal import console
    from move37.app.views.experiment import detail_of

    detail = detail_of(view, experiment)
    if diff:
        _print_difference(console(), detail)
        return
    for part in experiment_sections(detail):
        console().print(part)


def _print_source(screen: Console, experiment: Experiment) -> None:

    if experiment.candidate is None:
        raise BadInput(f"{experiment.id} has no code: {experiment.reason or 'it has not been written yet'}")
    if screen.is_terminal:
        screen.print(_highlighted(experiment.candidate.source, "python"))
    else:
        typer.echo(experiment.candidate.source, nl=not experiment.candidate.source.endswith("\n"))


def _print_difference(screen: Console, detail: Detail) -> None:
    from move37.app.views.code import difference

    new, old = detail.experiment.candidate, detail.ancestor.candidate if detail.ancestor else None
    if new is None or old is None or detail.ancestor is None:
        raise BadInput(f"{detail.experiment.id} was made from nothing that has code: see --source")
    text = difference(old.source, new.source, detail.ancestor.id)
    if screen.is_terminal:
        screen.print(_highlighted(text, "diff"))
    else:
        typer.echo(text)


def _highlighted(source: str, language: str) -> object:
    from rich.syntax import Syntax

    return Syntax(harmless(source), language, theme="ansi_dark", background_color="default", word_wrap=True)
