"""`move37 compare`: searches side by side at equal compute."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from move37.app.commands.options import taking
from move37.app.exits import BadInput, EnvironmentFault
from move37.app.reading import print_json
from move37.lab.archive.codec import encode
from move37.lab.numbers import scale_of
from move37.lab.tasks.registry import DEFAULT, kind_of

if TYPE_CHECKING:
    from move37.agents.comparing import ArmOutcome
    from move37.app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare", help=_HELP, short_help="Compare ways to search at equal compute.")(compare)


_HELP = """Compare ways to search the grammar: the same baselines, the same number of runs, the same fresh seeds.

Each arm and seed is a campaign: its candidates are screened at 100 steps and six of them trained at all, in three
rounds; the best of these is measured on fresh seeds against the two best baselines. Runs are kept, so that a killed
comparison goes on where it was. Ended campaigns are kept too, of every budget; --law asks of them, and trains nothing,
how the best effect grows with compute. --keep writes what each campaign found as a mixer's file, for `move37 measure`
and `move37 mcp`.

\b
  move37 compare --arms designer,random,tpe,keep-if-lower,no-memory --seeds 5
  move37 compare --arms designer,random --seeds 2 --budget 6 --json
  move37 compare --arms designer --seeds 1 --budget 60 --keep found/
  move37 compare --first 3 --seeds 2
  move37 compare --law
"""


@taking("corpus", "workers", "sandbox", "runtime", "image")
def compare(
    settings: Settings,
    arms: Annotated[
        str,
        typer.Option(help="Which, by comma: designer, no-memory, random, keep-if-lower, tpe, cma-es.", metavar="ARMS"),
    ] = "designer,random,tpe,keep-if-lower,no-memory",
    seeds: Annotated[int, typer.Option(help="Campaigns an arm.", metavar="K", min=1, max=100)] = 5,
    first: Annotated[int, typer.Option(help="The first campaign's seed.", metavar="S", min=0, max=10_000)] = 0,
    budget: Annotated[int, typer.Option(help="Candidates a campaign.", metavar="N", min=1, max=10_000)] = 12,
    fresh_seeds: Annotated[int, typer.Option(help="For the best of each campaign.", metavar="F", min=2, max=50)] = 5,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Write the best mixer of each campaign here.", metavar="DIR")
    ] = None,
    law: Annotated[
        bool, typer.Option("--law", help="Only say which law of growth the kept campaigns support.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="With --law: print Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the arms, run them, print."""
    from move37.agents.arms import ARMS

    if law:
        _law(settings.home, as_json=as_json, markdown=markdown)
        return
    chosen = [a.strip() for a in arms.split(",") if a.strip()]
    unknown = [a for a in chosen if a not in ARMS]
    if unknown or not chosen:
        raise BadInput(f"no arm is called {', '.join(unknown) or 'nothing'}: choose from {', '.join(ARMS)}")
    outcomes = asyncio.run(
        _compare(settings, list(dict.fromkeys(chosen)), range(first, first + seeds), budget, fresh_seeds)
    )
    if keep is not None:
        _keep(keep, outcomes)
    if as_json:
        print_json(as_record(outcomes))
    else:
        _print(outcomes)


async def _compare(
    settings: Settings, arms: list[str], seeds: range, budget: int, fresh_seeds: int
) -> tuple[ArmOutcome, ...]:
    from move37.agents.comparing import OUTCOMES, ROUNDS, Outcomes, StoredOutcome, campaign, prepare
    from move37.app.measuring import open_context
    from move37.app.places import opened

    def tell(arm: str, seed: int, done: int) -> None:
        print(f"{arm}, campaign {seed}: {done} of {budget} screened", file=sys.stderr, flush=True)

    def tell_baseline(name: str, seed: int, kept: bool) -> None:
        done = "kept from earlier" if kept else "training"
        print(f"baseline {name}, seed {seed}: {done}", file=sys.stderr, flush=True)

    task = opened(settings, DEFAULT, settings.campaign.corpus)
    outcomes: list[ArmOutcome] = []
    stored = Outcomes(settings.home / OUTCOMES)
    async with open_context(settings, task, written_by="grammar") as context:
        for seed in seeds:
            ground = await prepare(replace(context, on_run=tell_baseline), seed, fresh_seeds=fresh_seeds)
            ended = await asyncio.gather(
                *(campaign(context, arm, ground, candidates=budget, on_done=tell) for arm in arms)
            )
            for outcome in ended:
                stored.put(StoredOutcome(budget=budget, corpus=task.digest, outcome=outcome, rounds=ROUNDS))
            outcomes += ended
    return tuple(outcomes)


def _law(home: Path, *, as_json: bool, markdown: bool) -> None:
    """Which law the kept campaigns of each arm support."""
    from move37.agents.comparing import OUTCOMES, Outcomes, laws
    from move37.app.tables import section
    from move37.app.terminal import console
    from move37.app.views.insight import as_markdown, law_section

    found = laws(Outcomes(home / OUTCOMES).all())
    if not found:
        raise BadInput(f"no comparison was kept in {home} yet: run `move37 compare` with one budget and another")
    parts = [law_section(law, f"Best effect on fresh seeds against compute, {arm}") for arm, law in found.items()]
    if as_json:
        print_json({arm: encode(law) for arm, law in found.items()})
    elif markdown:
        typer.echo(as_markdown(parts))
    else:
        for part in parts:
            console().print(section(part), "")


def as_record(outcomes: tuple[ArmOutcome, ...]) -> dict[str, Any]:
    """The JSON that other programs rely on."""
    from move37.agents.comparing import summarise

    return {
        "arms": [encode(s) | {"effect": s.effect if s.effect == s.effect else None} for s in summarise(outcomes)],
        "campaigns": [encode(o) for o in outcomes],
    }


def best_of(outcome: ArmOutcome) -> tuple[str, str]:
    """What a campaign found, in words and as a mixer's file; no file where nothing could be measured.

    In words it is its family, with the operators that the family's baseline lacks and without those that only that has.
    """
    from move37.agents.search import codegen, grammar

    genome = grammar.from_json(outcome.genome)
    if genome is None:
        return "nothing that could be measured", ""
    own, usual = (grammar.operators_in(g) for g in (genome, grammar.BASELINES[genome.family]))
    more, less = [o for o in own if o not in usual], [o for o in usual if o not in own]
    told = [f"with {', '.join(more)}"] * bool(more) + [f"without {', '.join(less)}"] * bool(less)
    return " ".join([genome.family, *told]), codegen.emit(genome, name=f"{outcome.arm}_{outcome.seed}")


def _keep(folder: Path, outcomes: tuple[ArmOutcome, ...]) -> None:
    """Each campaign's best as a file of its own: arm, campaign."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for outcome in outcomes:
            if source := best_of(outcome)[1]:
                (folder / f"{outcome.arm}-{outcome.seed}.py").write_text(source, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{folder} cannot be written ({error.strerror})") from error


def _print(outcomes: tuple[ArmOutcome, ...]) -> None:
    from move37.agents.comparing import summarise
    from move37.app.fitting import table
    from move37.app.terminal import console
    from move37.app.views.shapes import Cell, Column, Table

    metric = kind_of(DEFAULT).metric
    best = f"best, {metric.unit}"
    scale = scale_of(metric.name, [o.comparison.effect for o in outcomes if o.comparison is not None])
    columns = (Column("arm"), Column("campaigns", True), Column(best, True), Column("95 %", True),
               Column("better", True), Column("core s", True))  # fmt: skip
    rows = []
    for s in summarise(outcomes):
        best_effect, bounds = scale.signed(s.effect), scale.bounds(s.low, s.high, signed=True)
        cells = (s.arm, str(s.campaigns), best_effect, bounds, f"{s.better:.0%}", f"{s.core_seconds:.0f}")
        rows.append(tuple(Cell(c) for c in cells))
    screen = console()
    screen.print(table(Table(columns=columns, rows=tuple(rows))), "")
    screen.print(
        "Best of each campaign on fresh seeds, against the baseline that it beats least clearly; core-seconds are"
    )
    screen.print("those of its own candidates. Better: beats both best baselines at the rule's own error.", "")
    columns = (Column("arm"), Column("campaign", True), Column(best, True), Column("interval", True), Column("against"),
               Column("found"))  # fmt: skip
    rows = []
    for o in outcomes:
        c = o.comparison
        told = ("", "", "") if c is None else (scale.signed(c.effect), scale.bounds(c.low, c.high, signed=True), c.name)
        rows.append(tuple(Cell(text) for text in (o.arm, str(o.seed), *told, best_of(o)[0])))
    screen.print(table(Table(columns=columns, rows=tuple(rows))))
