"""`move37 ideas`: what was proposed, not chosen, and not tried since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from move37.lab.records import Experiment


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ideas", help=_HELP, short_help="Show ideas that nobody has tried.")(ideas)


_HELP = """Show ideas that were proposed in the latest campaign and not chosen, with the Critic's reason.

Later experiments see them too, and may take one up. You can hand one to the next experiment: type `/propose ID` in
`move37 chat`, `move37 attach` or on the page.

\b
  move37 ideas
  move37 ideas --json
"""


def ideas(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Read and print; the archive is opened read-only."""
    from move37.agents.ledger import pool
    from move37.app.reading import has_archive, print_json, reading
    from move37.app.tables import section
    from move37.app.terminal import console
    from move37.app.views.ideas import pool_section
    from move37.lab.archive.codec import encode

    home = context.obj.home
    experiments: tuple[Experiment, ...] = ()
    if has_archive(home):
        with reading(home) as archive:
            experiments = archive.experiments(archive.campaigns()[-1].id)
    if as_json:
        print_json([encode(idea) for idea in pool(experiments)])
    elif found := pool_section(experiments):
        console().print(section(found))
    else:
        typer.echo("no idea waits: a language model proposes several at once, and those that are not chosen stay here")
