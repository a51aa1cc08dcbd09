"""`move37 list`: the experiments of a campaign."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list", help=_HELP, short_help="List the experiments of a campaign.")(list_experiments)


_HELP = """List the latest campaign's experiments, baselines included, best first.

JSON has them in the order in which they began.

\b
  move37 list
  move37 list --all
  move37 list --campaign 2 --json
"""


def list_experiments(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Of every campaign in the home.")] = False,
    campaign: Annotated[int | None, typer.Option(help="Of this campaign.", metavar="N", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read and print; the archive is opened read-only."""
    from move37.app.exits import BadInput
    from move37.app.reading import has_archive, pick_campaign, print_json, reading
    from move37.app.report.rows import list_row

    if every and campaign is not None:
        raise BadInput("choose either --all or --campaign N")
    home = context.obj.home
    if not has_archive(home):
        if as_json:
            print_json([])
        typer.echo(f"no campaign has run in {home} yet: start one with `move37 run`", err=True)
        return
    with reading(home) as archive:
        campaigns = archive.campaigns() if every else (pick_campaign(archive, campaign),)
        groups = [(c, archive.experiments(c.id)) for c in campaigns]
    if as_json:
        print_json([list_row(e) for _, experiments in groups for e in experiments])
        return
    from move37.app.reading import shortened
    from move37.app.report.rows import metric_of
    from move37.app.tables import leaderboard
    from move37.app.terminal import console
    from move37.app.wording import campaign_title

    screen = console()
    for found, experiments in groups:
        metric = metric_of(found.brief.task)
        title = campaign_title(found)
        screen.print(leaderboard(experiments, metric=metric, shortened=shortened(found), title=title), "")
