"""`move37 export`: a campaign's numbers for other tools."""

from __future__ import annotations

from typing import Annotated

import typer

from move37.app.exits import EnvironmentFault
from move37.app.reading import pick_campaign, reading


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", help=_HELP, short_help="Send a campaign to TensorBoard, MLflow, W&B or trackio.")(export)


_HELP = """Send the latest campaign to another tool: one run an experiment, with settings, numbers by step, curves and
the verdict. It may be repeated, also while the campaign runs.

As files: `move37 list --csv`, `move37 show ID --csv`, and everything on the page under Data.

\b
  move37 export --to tensorboard:runs
  move37 export --to mlflow:mlruns
  move37 export --to mlflow:http://127.0.0.1:5000 --campaign 2
  move37 export --to wandb:PROJECT
"""


def export(
    context: typer.Context,
    to: Annotated[
        str, typer.Option(help="tensorboard:DIR, mlflow:DIR-or-URL, wandb:PROJECT or trackio:PROJECT.", metavar="PLACE")
    ],
    campaign: Annotated[int | None, typer.Option(help="Of this campaign.", metavar="N", min=1)] = None,
) -> None:
    """Read the archive, write to the sink."""
    from move37.app.sinks import open_sink
    from move37.app.sinks.sink import runs_of
    from move37.app.views.campaign import view_of

    with reading(context.obj.home) as archive:
        view = view_of(archive, pick_campaign(archive, campaign))
    runs = runs_of(view)
    try:
        sink = open_sink(to)
        for run in runs:
            sink.send(run)
        sink.close()
    except OSError as error:
        raise EnvironmentFault(f"{to} cannot be written ({error.strerror or error}): name another place") from error
    typer.echo(f"{len(runs)} experiments of campaign {view.campaign.id} are at {to}")
