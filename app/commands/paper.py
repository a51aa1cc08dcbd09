"""`move37 paper ID`: a claim written up from the archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from move37.app.exits import BadInput, EnvironmentFault
from move37.app.reading import pick_experiment, reading


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("paper", help=_HELP, short_help="Write a claim up.")(paper)


_HELP = """Write a claim up: question, method, table with intervals, ablation, failures, cost, how to run it again.

Everything comes from the archive. Without an option the Markdown goes to stdout.

\b
  move37 paper c2-017
  move37 paper c2-017 --html paper.html --markdown paper.md
"""


def paper(
    context: typer.Context,
    ident: Annotated[str, typer.Argument(metavar="ID", help="An experiment with a claim.")],
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write Markdown here.", metavar="OUT")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page here.", metavar="OUT")] = None,
) -> None:
    """Read, write."""
    from move37.app.paper import html_of, markdown_of, write_up

    with reading(context.obj.home) as archive:
        experiment = pick_experiment(archive, ident)
        if experiment.claim is None:
            raise BadInput(f"{experiment.id} has no claim to write up: `move37 confirm {experiment.id}` makes one")
        blocks = write_up(archive, experiment, experiment.claim)
    text = markdown_of(blocks)
    outputs = [(markdown, text), (html, html_of(blocks, title=experiment.name or experiment.id))]
    for path, content in outputs:
        if path is not None:
            try:
                path.write_text(content, encoding="utf-8")
            except OSError as error:
                raise EnvironmentFault(f"{path} cannot be written ({error.strerror})") from error
    if markdown is None and html is None:
        typer.echo(text, nl=False)
