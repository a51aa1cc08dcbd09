"""`move37 resume`: go on with a campaign that was stopped or killed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from move37.app.commands.options import OPTIONS, PROMISES, at_a_terminal, taking
from move37.app.exits import Exit
from move37.app.reading import pick_campaign, reading

if TYPE_CHECKING:
    from move37.app.settings import Settings

AS_IT_BEGAN = {"task", "brief", "seed", "preset", "corpus", "negotiation_rounds", "debug_attempts"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("resume", help=_HELP, short_help="Go on with a campaign that was stopped or killed.")(resume)


_HELP = """Go on with the latest campaign that has not finished; no finished step is repeated.

Task, seed and corpus are those it began with. Limits, budget and model too, unless you name others; they count all
sessions together, so that a finished campaign goes on when it is given more. The defaults below are those of a new
campaign; one that goes on keeps its own.

\b
  move37 resume
  move37 resume --chat --approve code
  move37 resume --budget 24 --max-time 8h
  move37 resume --model openai:NAME --base-url http://127.0.0.1:8000/v1
  move37 resume --sandbox process --workers 1
"""
_HELP += PROMISES


@taking(*(name for name in OPTIONS if name not in AS_IT_BEGAN))
def resume(
    settings: Settings,
    campaign: Annotated[int | None, typer.Option(help="This campaign.", metavar="N", min=1)] = None,
    chat: Annotated[bool, typer.Option("--chat", help="Take part in it, as `move37 chat`.")] = False,
) -> int:
    """A finished campaign has nothing to resume: it says so, and that is no error."""
    from move37.app import resuming
    from move37.app.session import PAST, conduct

    with reading(settings.home) as archive:
        found = archive.campaigns()
        unfinished = [c for c in found if c.status != "finished"]
        wanted = pick_campaign(archive, campaign) if campaign or not unfinished else unfinished[-1]
        brief = resuming.revised(wanted.brief, settings, resuming.spent_so_far(archive, wanted))
    if wanted.status == "finished" and not resuming.extends(brief, wanted.brief):
        typer.echo(
            f"campaign {wanted.id} has finished: see `move37 list`, give it more with "
            f"`move37 resume --budget {wanted.brief.budget + 4}`, or start another with `move37 run`"
        )
        return Exit.DONE
    if chat and at_a_terminal():
        from move37.app.attach import start_and_attach

        return start_and_attach(settings.home, "resume", settings.flags, ("--campaign", str(wanted.id)), past=PAST)
    return conduct(settings, again=wanted, interactive=chat)
