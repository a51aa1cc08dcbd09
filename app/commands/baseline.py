"""`move37 baseline FAMILY`: the best of a family, tuned as hard as a candidate, and kept for the home's claims."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from move37.app.commands.options import taking
from move37.app.exits import BadInput
from move37.app.reading import print_json
from move37.lab.tasks.registry import DEFAULT, kind_of

if TYPE_CHECKING:
    from move37.agents.claim_ground import ClaimWatch
    from move37.agents.tuning import Tuned
    from move37.app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("baseline", help=_HELP, short_help="Tune a family's baseline.")(baseline)


_HELP = """Tune a family's own baseline: Optuna over the grammar's modifiers and the learning rate.

What a candidate has to beat is not the baseline as it comes, but the best of its family with as many trials as
candidates get. Runs are kept in the home for one corpus and one kind of machine: claims and later calls use them.

\b
  move37 baseline gated_delta
  move37 baseline gla --trials 40
"""


@taking("corpus", "scale", "device", "workers", "sandbox", "runtime", "image")
def baseline(
    settings: Settings,
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="softmax, linear, retention, ssd, gla, delta, ...")],
    trials: Annotated[int | None, typer.Option(help="[default: 12]", metavar="N", min=1, max=500)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tune and print."""
    from move37.agents.tuning import families
    from move37.app.progress import watching

    known = families()
    if family not in known:
        raise BadInput(f"no family is called {family!r}: choose one of {', '.join(known)}")
    with watching() as watch:
        tuned = asyncio.run(_tune(settings, family, trials, watch))
    if tuned is None:
        raise BadInput(f"no variant of {family} could be measured here: see `move37 check`")
    if as_json:
        print_json(as_record(tuned))
    else:
        unit = kind_of(DEFAULT).metric.unit
        typer.echo(
            f"{family}, tuned over {tuned.trials} trials: {tuned.value:.3f} {unit} on one seed at rate "
            f"{tuned.rate:g}, with {', '.join(tuned.operators)}"
        )


def as_record(tuned: Tuned) -> dict[str, Any]:
    """The JSON that other programs rely on."""
    return {
        "family": tuned.family,
        "value": tuned.value,
        "learning_rate": tuned.rate,
        "operators": list(tuned.operators),
        "trials": tuned.trials,
        "source": tuned.candidate.source,
    }


async def _tune(settings: Settings, family: str, trials: int | None, watch: ClaimWatch) -> Tuned | None:
    from dataclasses import replace

    from move37.agents.tuning import TRIALS, tuned_family
    from move37.app.measuring import open_context
    from move37.app.places import opened

    task = opened(settings, DEFAULT, settings.campaign.corpus)
    async with open_context(settings, task, written_by="grammar") as context:
        return await tuned_family(
            replace(context, on_run=watch.run), family, trials=trials or TRIALS, notice=watch.notice
        )
