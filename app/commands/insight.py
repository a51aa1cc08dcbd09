"""`move37 insight`: what a home's archive teaches beyond its best row."""

from __future__ import annotations

from typing import Annotated

import typer

from move37.app.exits import BadInput
from move37.app.reading import print_json, reading
from move37.lab.archive.codec import encode


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("insight", help=_HELP, short_help="Say what an archive teaches beyond its best row.")(insight)


_HELP = """Say what parts are worth against their parents, where ideas came from (a paper, an own lesson, neither), what
the candidates that climbed have in common, what worked against all odds, and how findings grow with compute.

Without numbers all campaigns of the home on the last one's task are read. It describes; `move37 confirm` confirms.

\b
  move37 insight
  move37 insight 1 3 --json
  move37 insight --markdown > insight.md
"""


def insight(
    context: typer.Context,
    campaigns: Annotated[list[int] | None, typer.Argument(metavar="[CAMPAIGN]...", help="Which campaigns.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """Read, reckon, print; the archive is opened read-only."""
    from move37.app.insight import of_home
    from move37.app.tables import section
    from move37.app.terminal import console
    from move37.app.views.insight import as_markdown, insight_sections

    if as_json and markdown:
        raise BadInput("choose either --json or --markdown")
    with reading(context.obj.home) as archive:
        found, metric = of_home(archive, campaigns or [])
    if as_json:
        print_json(encode(found))
    elif markdown:
        typer.echo(as_markdown(insight_sections(found, metric)))
    else:
        screen = console()
        for part in insight_sections(found, metric):
            screen.print(section(part), "")
