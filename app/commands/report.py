"""`move37 report`: the latest campaign as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from move37.app.reading import as_it_stands, pick_campaign, reading


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", help=_HELP, short_help="Write a campaign as one HTML page.")(report)


_HELP = """Write the latest campaign as one HTML page that works offline, and print its path.

\b
  move37 report --open
  move37 report --campaign 2 --out second.html
  move37 report --markdown
"""


def report(
    context: typer.Context,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    out: Annotated[Path | None, typer.Option(help="Where to write it.  [default: in the home]", metavar="FILE")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown; without --out on stdout.")] = False,
    campaign: Annotated[int | None, typer.Option(help="Of this campaign.", metavar="N", min=1)] = None,
) -> None:
    """Read the archive, write one file."""
    from move37.app.insight import of_home
    from move37.app.report import markdown_of, write_report
    from move37.app.views.campaign import view_of

    home = context.obj.home
    with reading(home) as archive:
        chosen = as_it_stands(home, pick_campaign(archive, campaign))
        if markdown and out is None:
            typer.echo(markdown_of(view_of(archive, chosen), of_home(archive, (), chosen.brief.task)[0]), nl=False)
            return
        target = out or home / "reports" / f"campaign-{chosen.id}.html"
        path = write_report(archive, chosen, target, markdown=markdown)
    typer.echo(str(path))
    if open_it:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            typer.echo("no browser could be started here: open the file yourself", err=True)
