"""`move37 confirm ID` and `move37 reproduce ID`: from a better row to a discovery, and the same once more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from move37.app.commands.options import taking
from move37.app.exits import Exit
from move37.app.reading import print_json
from move37.app.text import harmless
from move37.lab.archive.codec import encode

if TYPE_CHECKING:
    from move37.app.settings import Settings
    from move37.lab.records import Claim, Experiment, Metric

Seeds = Annotated[
    int | None,
    typer.Option(help="Fresh seeds, at least.  [default: 5]", metavar="K", show_default=False, min=2, max=50),
]
Second = Annotated[
    Path | None,
    typer.Option("--second-corpus", help="Text of another kind.  [default: the sources of scipy]", metavar="PATH"),
]


def register(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("confirm", help=_HELP, short_help="Ask whether a candidate is a discovery.")(confirm)
    app.command("reproduce", help=_AGAIN, short_help="Repeat a claim from the archive alone.")(reproduce)


_HELP = """Ask of one candidate what a discovery must show, on fresh seeds, until one question fails.

It must beat the two best baselines, the best of its own family and of the best baseline's, tuned as hard, and itself
without its new part; and hold on sealed text, on a second corpus, at twice the width and at four times the steps. Each
look is counted for ever and costs the home some of its error. About an hour on two idle cores; killed, it goes on where
it was. Exit status 0: it stands; 1: it does not.

\b
  move37 confirm 3
  move37 confirm c2-017 --seeds 8 --all
"""
_AGAIN = """Repeat a claim's comparisons on new seeds, and say for each whether the new interval covers the old effect.

Everything is read from the archive. Exit status 0: every old effect is covered; 1: one is not.

\b
  move37 reproduce c2-017
"""


@taking("workers", "sandbox", "runtime", "image")
def confirm(
    settings: Settings,
    ident: Annotated[str, typer.Argument(metavar="ID", help="A candidate, as `move37 list` names it.")],
    seeds: Seeds = None,
    trials: Annotated[
        int | None, typer.Option(help="To tune its family's baseline.  [default: 12]", metavar="N", min=1, max=500)
    ] = None,
    second_corpus: Second = None,
    everything: Annotated[bool, typer.Option("--all", help="Ask the rest after a failure too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run the questions, print the claim; the exit status is the answer."""
    from move37.agents.claim_ground import ConfirmationRequest
    from move37.app.confirmation import confirm_experiment
    from move37.app.progress import watching

    wanted = ConfirmationRequest(seeds=seeds, trials=trials, second_corpus=second_corpus, everything=everything)
    with watching() as watch:
        found = asyncio.run(confirm_experiment(settings, ident, wanted, watch))
    experiment, claim, metric = found
    if as_json:
        print_json(as_record(claim, metric))
    else:
        _print(experiment, claim, metric)
    if not claim.stands:
        raise typer.Exit(Exit.NO)


@taking("workers", "sandbox", "runtime", "image")
def reproduce(
    settings: Settings,
    ident: Annotated[str, typer.Argument(metavar="ID", help="An experiment with a claim.")],
    seeds: Seeds = None,
    second_corpus: Second = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run the comparisons again, print old beside new; the exit status is the answer."""
    from move37.agents.claim_ground import ConfirmationRequest
    from move37.app.confirmation import reproduce_claim
    from move37.app.progress import watching
    from move37.lab.claims import pairs_of

    wanted = ConfirmationRequest(seeds=seeds, second_corpus=second_corpus)
    with watching() as watch:
        old, new, metric = asyncio.run(reproduce_claim(settings, ident, wanted, watch))
    pairs = pairs_of(old, new)
    if as_json:
        print_json(
            [
                {"question": a.question, "rival": a.name, "old": encode(a), "new": encode(b), "covered": covered}
                for a, b, covered in pairs
            ]
        )
    else:
        _print_pairs(pairs, metric)
    if not all(covered for _, _, covered in pairs):
        raise typer.Exit(Exit.NO)


def as_record(claim: Claim, metric: Metric) -> dict[str, Any]:
    """The JSON that other programs rely on."""
    from move37.lab.claims import claim_text

    comparisons = [encode(c) | {"holds": c.holds} for c in claim.comparisons]
    told = {"comparisons": comparisons, "stands": claim.stands, "text": claim_text(claim, metric)}
    record: dict[str, Any] = encode(claim)
    return record | told


def _print(experiment: Experiment, claim: Claim, metric: Metric) -> None:
    from rich.text import Text

    from move37.app.tables import section
    from move37.app.terminal import console
    from move37.app.views.evidence import claim_section, evidence_section

    screen = console()
    for part in (evidence_section(experiment, metric), claim_section(experiment, metric)):
        screen.print(section(part))
    screen.print(Text(f"It took {claim.core_seconds:.0f} core-seconds.", style="dim"))


def _print_pairs(pairs: Any, metric: Metric) -> None:
    from rich.text import Text

    from move37.app.terminal import console
    from move37.lab.claims import against

    screen = console()
    for old, new, covered in pairs:
        screen.print(
            Text(f"{old.question} against {old.name}: {'covered' if covered else 'NOT covered'}", style="bold")
        )
        screen.print(Text(harmless(f"  then {against(old, metric)}")))
        screen.print(Text(harmless(f"  now  {against(new, metric)}")))
