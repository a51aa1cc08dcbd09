"""`move37 answer [ID FILE]`: answer a turn of a campaign that runs with `--model seat`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from move37.app.exits import BadInput
from move37.app.text import harmless


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("answer", help=_HELP, short_help="Answer for a role of a campaign with --model seat.")(answer)


_HELP = """Answer for a role of a campaign that runs with --model seat; without ID, list what waits.

FILE is JSON in the form that the turn's own file names; for Engineer and Debugger it may be the Python file itself.

\b
  move37 answer
  move37 answer c1-001 proposal.json
  move37 answer c1-001 mixer.py
"""


def answer(
    context: typer.Context,
    experiment: Annotated[str | None, typer.Argument(metavar="ID", help="Of the experiment.")] = None,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The answer.")] = None,
    prompt: Annotated[bool, typer.Option("--prompt", help="With the list, what each turn is asked.")] = False,
) -> None:
    """List, or hand over; the campaign takes it up within a second."""
    from move37.agents.external import turn_files

    home = context.obj.home
    if experiment is None:
        found = turn_files.waiting(home)
        for turn in found:
            typer.echo(f"{turn.experiment}  {turn.role:<10}  {turn.file}")
            if prompt:
                typer.echo(f"\n{harmless(turn.prompt)}\n")
        if not found:
            typer.echo("nothing waits for an answer")
        return
    if file is None:
        raise BadInput(f"name the file with the answer: move37 answer {experiment} FILE")
    done = turn_files.answer(home, experiment, file)
    typer.echo(f"{done.experiment}: the {done.role}'s answer is handed over")
