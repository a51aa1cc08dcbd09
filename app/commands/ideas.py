"""`move37 ideas`: what was proposed, not chosen, and not tried since."""

from __future__ import annotations

from typing import Annotated

import typer


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
    from move37.app.ideas import show

    show(context.obj.home, as_json=as_json)
