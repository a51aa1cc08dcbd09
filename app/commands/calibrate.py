"""`move37 calibrate`: measure a scale before anything is promoted on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from move37.app.commands.options import taking
from move37.app.reading import print_json

if TYPE_CHECKING:
    from move37.app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibrate", help=_HELP, short_help="Measure noise and best rates of a scale.")(calibrate)


_HELP = """Measure a scale: how far seeds scatter, which learning rate is best, and which effect can be seen at all.

Three baselines are trained at each rate, then each at its own best rate on several seeds: 3 x 3 + 3 x 4 trainings as it
comes. Kept in the home for one text, one kind of machine and one device. Runs are kept too: a killed call goes on.

\b
  move37 calibrate --scale small
  move37 calibrate --scale own --seeds 4 --arms gla,mamba2
"""


@taking("scale", "device", "corpus", "workers", "sandbox", "runtime", "image")
def calibrate(
    settings: Settings,
    arms: Annotated[
        str | None, typer.Option(help="Baselines, two at least.  [default: three]", metavar="NAME,...")
    ] = None,
    rates: Annotated[
        str | None, typer.Option(help="Learning rates.  [default: 0.005,0.01,0.02]", metavar="RATE,...")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="[default: 5]", metavar="N", min=3, max=100)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure, keep, print."""
    from move37.app.calibrating import as_record, asked, calibrate_scale, sentence

    wanted = asked(arms, rates, seeds)
    found, metric = asyncio.run(calibrate_scale(settings, wanted))
    if as_json:
        record: dict[str, Any] = as_record(found)
        print_json(record)
    else:
        typer.echo(sentence(settings.campaign.scale, found, metric.unit))
