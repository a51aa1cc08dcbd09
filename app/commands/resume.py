"""`move37 resume`: go on with a campaign that was stopped or killed."""

from __future__ import annotations

from typing import Annotated

import typer

from move37.app.commands import options as o
from move37.app.exits import Exit
from move37.app.reading import pick_campaign, reading


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


def resume(
    context: typer.Context,
    campaign: Annotated[int | None, typer.Option(help="This campaign.", metavar="N", min=1)] = None,
    chat: Annotated[bool, typer.Option("--chat", help="With you at the table.")] = False,
    approve: o.Approve = None,
    approval_timeout: o.ApprovalTimeout = None,
    notify: o.Notify = None,
    confirm: o.Confirm = None,
    budget: o.Budget = None,
    max_time: o.MaxTime = None,
    max_tokens: o.MaxTokens = None,
    max_cost: o.MaxCost = None,
    model: o.Model = None,
    base_url: o.BaseUrl = None,
    scale: o.Scale = None,
    device: o.Device = None,
    workers: o.Workers = None,
    sandbox: o.SandboxName = None,
    runtime: o.Runtime = None,
    image: o.Image = None,
) -> int:
    """A finished campaign has nothing to resume: it says so, and that is no error."""
    from move37.app import resuming
    from move37.app.session import conduct

    flags = {n: v for n, v in context.params.items() if n not in ("campaign", "chat")}
    settings = context.obj.with_flags(**o.given(flags))
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
    if chat and o.at_a_terminal():
        from move37.app.attach import attach, start

        return attach(
            settings.home, start(settings.home, "resume", settings.flags, ("--campaign", str(wanted.id))), past=200
        )
    return conduct(settings, again=wanted, seated=chat)
