"""`move37 run`: a campaign on its own."""

from __future__ import annotations

import typer

from app.commands import options as o


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", help=_HELP, short_help="Run a campaign on its own.")(run)


_HELP = """Run a campaign on its own, then print the leaderboard and write the report.

\b
  move37 run
  move37 run --budget 4 --seed 1
  move37 run --brief direction.md --max-time 30m
  move37 run --task program:my_folder
  move37 run --model openai:NAME --base-url http://127.0.0.1:8000/v1 --max-cost 2.00
"""


def run(
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
    sandbox: o.SandboxName = None,
    preset: o.Preset = None,
    corpus: o.Corpus = None,
    approve: o.Approve = None,
    negotiation_rounds: o.NegotiationRounds = None,
    debug_attempts: o.DebugAttempts = None,
) -> int:
    """Everything is checked before anything is created."""
    settings = context.obj.with_flags(**o.given(locals()))
    from app.session import conduct

    return conduct(settings)
