"""`move37 list`: the experiments of a campaign."""

from __future__ import annotations

from typing import Annotated

import typer

from move37.app.exits import BadInput
from move37.app.reading import as_it_stands, has_archive, pick_campaign, print_csv, print_json, reading


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list", help=_HELP, short_help="List the experiments of a campaign.")(list_experiments)


_HELP = """List the latest campaign's experiments, baselines included, best first in groups of values that compare.

JSON has them in the order in which they began; CSV has the leaderboard, one row a place.

\b
  move37 list
  move37 list --all
  move37 list --campaign 2 --json
  move37 list --csv > leaderboard.csv
"""


def list_experiments(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Of every campaign in the home.")] = False,
    campaign: Annotated[int | None, typer.Option(help="Of this campaign.", metavar="N", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Read and print; the archive is opened read-only."""
    from move37.app.views.campaign import metric_of
    from move37.app.views.leaderboard import board_of
    from move37.app.views.rows import board_rows, list_row

    if every and campaign is not None:
        raise BadInput("choose either --all or --campaign N")
    if as_json and as_csv:
        raise BadInput("choose either --json or --csv")
    home = context.obj.home
    if not has_archive(home):
        if campaign is not None:
            raise BadInput(f"no campaign {campaign}: none has run in {home} yet, start one with `move37 run`")
        if as_json:
            print_json([])
        typer.echo(f"no campaign has run in {home} yet: start one with `move37 run`", err=True)
        return
    with reading(home) as archive:
        campaigns = archive.campaigns() if every else (pick_campaign(archive, campaign),)
        groups = [(c, archive.experiments(c.id)) for c in campaigns]
    if as_json:
        print_json([list_row(e, metric_of(c)) for c, experiments in groups for e in experiments])
        return
    if as_csv:
        boards = [(c, board_of(experiments, metric_of(c))) for c, experiments in groups]
        print_csv([{"campaign": c.id} | row for c, board in boards for row in board_rows(board)])
        return
    from move37.app.tables import campaign_table
    from move37.app.terminal import console

    screen = console()
    for found, experiments in groups:
        screen.print(campaign_table(as_it_stands(home, found), experiments), "")
