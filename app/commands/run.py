"""`move37 run`: a campaign on its own. `chat` is the same with a seat, so that its options stand here once."""

from __future__ import annotations

from collections.abc import Callable

import typer

from move37.app.commands import options as o


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", help=_HELP, short_help="Run a campaign on its own.")(campaign(seated=False))


_HELP = """Run a campaign on its own, then print the leaderboard and write the report.

\b
  move37 run
  move37 run --budget 4 --seed 1
  move37 run --brief direction.md --max-time 30m
  move37 run --task program:my_folder
  move37 run --model openai:NAME --base-url http://127.0.0.1:8000/v1 --max-tokens 500k
"""


def campaign(*, seated: bool) -> Callable[..., int]:
    """The function behind run and chat. Everything is checked before anything is created."""

    def command(
        context: typer.Context,
        task: o.Task = None,
        model: o.Model = None,
        base_url: o.BaseUrl = None,
        budget: o.Budget = None,
        max_time: o.MaxTime = None,
        max_tokens: o.MaxTokens = None,
        max_cost: o.MaxCost = None,
        brief: o.BriefFile = None,
        seed: o.Seed = None,
        preset: o.Preset = None,
        corpus: o.Corpus = None,
        scale: o.Scale = None,
        device: o.Device = None,
        approve: o.Approve = None,
        approval_timeout: o.ApprovalTimeout = None,
        notify: o.Notify = None,
        confirm: o.Confirm = None,
        negotiation_rounds: o.NegotiationRounds = None,
        debug_attempts: o.DebugAttempts = None,
        workers: o.Workers = None,
        sandbox: o.SandboxName = None,
        runtime: o.Runtime = None,
        image: o.Image = None,
    ) -> int:
        settings = context.obj.with_flags(**o.given(context.params))
        if seated and o.at_a_terminal():
            from move37.app.attach import attach, start

            return attach(settings.home, start(settings.home, "run", settings.flags))
        from move37.app.session import conduct

        return conduct(settings, seated=seated)

    return command
