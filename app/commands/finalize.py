"""`move37 finalize`: one experiment as a folder or a git branch with code, README and evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from move37.app.exits import BadInput
from move37.app.reading import pick_experiment, reading


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("finalize", help=_HELP, short_help="Write an experiment as a folder or a git branch.")(finalize)


_HELP = """Write one experiment as a folder, or as a commit on a new branch of the git repository here, with its code,
what it was made from, a README and all the evidence. The README says whether it is a discovery, and what it is not.

\b
  move37 finalize c1-007
  move37 finalize 7 --out gated_floor
  move37 finalize 7 --branch ideas/gated-floor
"""


def finalize(
    context: typer.Context,
    ident: Annotated[str, typer.Argument(metavar="ID", help="An experiment, as `move37 list` names it.")],
    out: Annotated[
        Path | None, typer.Option(help="The folder.  [default: its name, here]", metavar="DIR", show_default=False)
    ] = None,
    branch: Annotated[
        str | None, typer.Option(help="A new branch of the repository here, instead of a folder.", metavar="NAME")
    ] = None,
) -> None:
    """Read the archive, write the files."""
    from move37.app.finalize import files_of, write_branch, write_folder
    from move37.app.views.campaign import view_of

    if out is not None and branch is not None:
        raise BadInput("choose either --out or --branch")
    with reading(context.obj.home) as archive:
        experiment = pick_experiment(archive, ident)
        view = view_of(archive, archive.campaign(experiment.campaign))
    files = files_of(view, experiment)
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in experiment.name or experiment.id)[:60]
    if branch is not None:
        message = f"{experiment.name or experiment.id}: {experiment.status.value} ({experiment.id})\n"
        commit = write_branch(files, branch, name, repository=Path.cwd(), message=message)
        typer.echo(f"{branch} {commit}")
    else:
        target = (out or Path(name)).expanduser().absolute()
        write_folder(files, target)
        typer.echo(str(target))
