"""`move37 principles`: what the laboratory holds to be so, and what it let go of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from move37.app.reading import has_archive, print_json, reading
from move37.app.text import harmless
from move37.app.units import spell_moment
from move37.lab.archive import principles as stored
from move37.lab.archive.codec import decode, encode
from move37.lab.records import Metric, Principle

if TYPE_CHECKING:
    from move37.lab.archive.principles import Revision
    from move37.lab.archive.store import Archive


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("principles", help=_HELP, short_help="Show what the laboratory has learned.")(principles)


_HELP = """Show the laboratory's principles, strongest first, each with the experiments for and against it.

They are revised after every generation: by the Analyst where a language model is at work, and by the record of
operators (effect against the parent, with an interval) in every campaign.

\b
  move37 principles
  move37 principles --history
  move37 principles --json
"""


def principles(
    context: typer.Context,
    history: Annotated[bool, typer.Option("--history", help="Every revision, with what was struck and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read and print; the archive is opened read-only."""
    home = context.obj.home
    if not has_archive(home):
        if as_json:
            print_json([])
        typer.echo(f"no campaign has run in {home} yet: start one with `move37 run`", err=True)
        return
    with reading(home) as archive:
        revisions, standing = stored.history(archive), stored.standing(archive)
        told = [] if as_json else _foresight(archive)
    if as_json:
        print_json([_revision(r) for r in revisions] if history else [_plain(p) for p in standing])
        return
    if not revisions:
        typer.echo("nothing is held yet: principles are made after a generation, from two experiments or more")
        return
    lines = [line for r in revisions for line in _told(r)] if history else [_line(p) for p in standing]
    for line in lines or [_nothing(revisions)]:
        typer.echo(line)
    for line in told:
        typer.echo(line)


def _foresight(archive: Archive) -> list[str]:
    """Who predicts how well, and whether the Critic's refusals were right; nothing before there are numbers."""
    from move37.app.views.foresight import foresight_lines

    metrics = {c.id: decode(Metric, c.facts["metric"]) for c in archive.campaigns() if "metric" in c.facts}
    lines = []
    for name in dict.fromkeys(metric.name for metric in metrics.values()):
        mine = [e for e in archive.experiments() if e.campaign in metrics and metrics[e.campaign].name == name]
        lines += foresight_lines(mine, next(m for m in metrics.values() if m.name == name))
    return ["", *lines] if lines else []


def _nothing(revisions: Sequence[Revision]) -> str:
    """Why a laboratory that has reflected holds nothing, and where the numbers are."""
    struck = any(p.struck for r in revisions for p in r.principles)
    history = ", `move37 principles --history` what was struck" if struck else ""
    why = "nothing stands: no part's effect was told apart from zero in two experiments or more"
    return f"{why}; `move37 insight` shows what was measured of each{history}"


def _told(revision: Revision) -> list[str]:
    head = f"\n{spell_moment(revision.at)}, campaign {revision.campaign}"
    return [head, *(_line(p) for p in revision.principles)]


def _line(principle: Principle) -> str:
    against = f", against: {', '.join(principle.contradicts)}" if principle.contradicts else ""
    text = f"- {principle.text} For: {', '.join(principle.supports) or 'none'}{against}."
    return harmless(f"{text} STRUCK: {principle.struck}." if principle.struck else text)


def _plain(principle: Principle) -> dict[str, Any]:

    return dict(encode(principle))


def _revision(revision: Revision) -> dict[str, Any]:
    return {
        "campaign": revision.campaign,
        "at": revision.at,
        "principles": [_plain(p) for p in revision.principles],
    }
