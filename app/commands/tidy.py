"""`move37 tidy`: take away weights that no training goes on from."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from move37.app.commands.options import at_a_terminal
from move37.app.exits import EnvironmentFault
from move37.app.reading import has_archive, reading
from move37.app.tidying import leftovers, remove
from move37.lab.archive.killed import stop_killed
from move37.lab.archive.lock import HomeLock
from move37.lab.errors import LabError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tidy", help=_HELP, short_help="Take away old checkpoints, after asking.")(tidy)


_HELP = """Take away checkpoints that no training goes on from, after saying which and asking.

Records, reports, memory and logs always stay, and so do the weights of whatever was promoted or confirmed (unless
--everything), and of campaigns that can be resumed. A finished campaign can still be extended: it trains anew what it
needs, with the same numbers.

\b
  move37 tidy
  move37 tidy --yes
  move37 tidy --everything
"""


def tidy(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    everything: Annotated[bool, typer.Option("--everything", help="Also of what was promoted or confirmed.")] = False,
) -> None:
    """The home's lock is held from the look to the last deletion, so that no campaign begins between them."""
    home = context.obj.home
    if not has_archive(home):
        typer.echo(f"no campaign has run in {home} yet: there is nothing to tidy")
        return
    lock = HomeLock.acquire(home)
    try:
        with suppress(LabError):  # on a full disk the rest goes on all the same
            stop_killed(home)
        with reading(home) as archive:
            finished = {c.id: c.status == "finished" for c in archive.campaigns()}
            found = leftovers(home, archive.experiments(), finished, everything=everything)
        if not found:
            typer.echo("there is nothing to tidy")
            return
        for item in found:
            typer.echo(f"{item.size / 1e6:8.1f} MB  {item.path.relative_to(home)}  ({item.why})")
        typer.echo(f"{sum(item.size for item in found) / 1e6:8.1f} MB in all")
        if not yes and not at_a_terminal():
            typer.echo("nothing was deleted: say --yes where nobody can be asked")
            return
        if not yes and not typer.confirm("Delete these?", default=False):
            typer.echo("nothing was deleted")
            return
        if problems := remove(found):
            raise EnvironmentFault(f"not everything could be deleted ({problems[0]}): correct its permissions")
        typer.echo("deleted")
    finally:
        lock.release()
