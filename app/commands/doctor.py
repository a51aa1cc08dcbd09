"""`move37 doctor`: what this machine can do, and how to get the rest."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import Annotated

import typer

from move37.app.exits import Exit
from move37.app.reading import print_json
from move37.app.text import one_line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", help=_HELP, short_help="Say what this machine can do, and how to get the rest.")(doctor)


_HELP = """Say what this machine can do and how to get the rest. Keys are never printed.

The exit status is 0 when a campaign can run here, 3 otherwise.

\b
  move37 doctor
  move37 doctor --json
"""


def doctor(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> int:
    """Every check, grouped; what is missing has its remedy beside it."""
    from move37.app.doctor import examine, ready

    findings = examine(context.obj)
    able = ready(findings)
    if as_json:
        print_json({"ready": able, "findings": [asdict(f) for f in findings]})
        return Exit.DONE if able else Exit.ENVIRONMENT
    from rich.table import Table
    from rich.text import Text

    from move37.app.terminal import console

    screen = console()
    for group, members in groupby(findings, key=lambda f: f.group):
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True, min_width=22)
        table.add_column(ratio=1)
        for f in members:
            sign = Text("✓", "green") if f.ok else Text("✗", "bold red") if f.needed else Text("–", "yellow")
            says = Text(one_line(f.detail))
            if f.remedy:
                says.append(f"\n→ {one_line(f.remedy)}", style="cyan")
            table.add_row(sign, Text(one_line(f.name)), says)
        screen.print(Text(group, style="bold"), table, "")
    verdict = "a campaign can run here: move37 run" if able else "a campaign cannot run here yet: see ✗ above"
    screen.print(Text(verdict, style="bold"))
    return Exit.DONE if able else Exit.ENVIRONMENT
