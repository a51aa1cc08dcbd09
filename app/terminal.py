"""The consoles that everything is printed on: no markup, no emoji codes, wide enough when nobody looks."""

from __future__ import annotations

import shutil
import sys

from rich.console import Console

PIPE_WIDTH = 140  # columns where stdout is no terminal and nobody says how wide it is read


def console(*, stderr: bool = False) -> Console:
    """A console that reads no markup in what it prints, so that foreign text is only text."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else shutil.get_terminal_size((PIPE_WIDTH, 24)).columns  # or what COLUMNS says
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width, soft_wrap=False)
