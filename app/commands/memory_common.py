"""What the commands of `move37 memory` share: the opened memory, a progress bar, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from move37.memory.index import Progress
    from move37.memory.recall import Memory

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


@contextmanager
def opened(context: typer.Context, *, read_only: bool = False) -> Iterator[Memory]:
    """The memory of the settings. What only reads works beside a campaign: it gets a copy."""
    from move37.app.home_memory import memory_of

    memory = memory_of(context.obj, read_only=read_only)
    try:
        yield memory
    finally:
        memory.close_now()


@contextmanager
def progress_bar(what: str, *, quiet: bool = False) -> Iterator[Progress]:
    """A bar on stderr where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))
