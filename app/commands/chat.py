"""`move37 chat`: the same campaign with a person at the table."""

from __future__ import annotations

import typer

from app.commands import options as o


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("chat", help=_HELP, short_help="Run a campaign with you at the table.")(chat)


_HELP = """Run a campaign with you at the table: type at any moment, the next speaker answers.

Type /help at the prompt for /pause, /resume, /stop, /approve, /veto REASON and /propose TEXT. Lines may also come
through a pipe; its end does not end the campaign.

\b
  move37 chat
  move37 chat --approve hypotheses
  printf 'try a short convolution\\n' | move37 chat --budget 2
"""


def chat(
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
    """Like `run`, with a seat."""
    settings = context.obj.with_flags(**o.given(locals()))
    from app.session import conduct

    return conduct(settings, seated=True)
