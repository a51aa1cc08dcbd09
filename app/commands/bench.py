"""`move37 bench NAME`: start one of the benchmarks as a process of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from move37.app.exits import BadInput


def register(app: typer.Typer) -> None:
    """Add the command; what follows NAME belongs to the benchmark."""
    app.command(
        "bench",
        help=_HELP,
        short_help="Run a benchmark.",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    )(bench)


_HELP = """Run a benchmark: `python -m benchmarks.NAME`, with whatever options follow NAME.

\b
  move37 bench sandbox --json
  move37 bench memory --help
"""


_STARTS = 'if __name__ == "__main__":'


def bench(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which one; without it they are listed.")] = None,
) -> int:
    """The benchmark's own exit status is passed on."""
    import subprocess
    import sys

    known = benchmarks()
    if name in (None, "--help", "-h"):
        typer.echo(f"{_HELP.splitlines()[0]}\n\nThere are: {', '.join(known)}")
        return 0
    if name not in known:
        raise BadInput(f"no benchmark {name!r}: there are {', '.join(known)}")
    return subprocess.run(
        [sys.executable, "-P", "-m", f"move37.benchmarks.{name}", *context.args], check=False
    ).returncode


def benchmarks() -> list[str]:
    """The names, from the files that can be started: the others are parts of these, and would say nothing."""
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("move37.benchmarks")
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = (f for folder in folders for f in Path(folder).glob("[a-z]*.py"))
    return sorted(f.stem for f in files if _STARTS in f.read_text(encoding="utf-8"))
