"""`move37 memory`: what papers teach and what experiments taught, from the command line.

memory_read.py, memory_write.py and memory_move.py hold the commands, memory_common.py what they share.
"""

from __future__ import annotations

import typer

from move37.app.commands import memory_move, memory_read, memory_write

_HELP = """Search and feed the memory: papers' insights (cognition), what experiments taught (analyses), principles.

It lies in the home (an engine in this process), or on the Qdrant server that the setting memory.url names. What only
reads (search, show, stats, export) works while a campaign writes: it reads a copy.
"""


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode=None)
    for part in (memory_write, memory_read, memory_move):
        part.register(group)
    app.add_typer(group, name="memory")
