"""`move37 exec FILE`: a safe replacement for `python FILE`.

The options, checked before anything starts; what they make stands in `app/running/`. The status is the program's own;
124 past its time, 137 for memory, 125 for a fault of ours, 2 for wrong use. Not covered: interactive terminals.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from move37.app.commands.options import taking
from move37.app.exits import BadInput
from move37.app.running.inputs import gather_input, standard_input
from move37.app.units import YEAR, seconds

if TYPE_CHECKING:
    from move37.app.settings import Settings

MIB = 1024 * 1024
MOST_MEMORY = 2**50
DEFAULT_SECONDS = 3600.0
UNITS = {"": 1, "b": 1, "k": 1024, "m": MIB, "g": 1024 * MIB}

HELP = """Run a Python file in the sandbox: a safe replacement for `python FILE`.

Output is live and the exit status is the program's own (124: out of time, 137: out of memory, 125: the sandbox
itself failed). The program sees no network, none of your files or environment, and a folder of its own, which ends
with it: --out returns what it wrote. NumPy, SciPy, PyTorch, pandas and Matplotlib are there; a figure that it shows
is written as figure-1.png. Standard input is passed on.

Examples:

  move37 exec train.py --timeout 600 --memory 4g

  move37 exec main.py --in helpers.py --in data/ --out results -- --epochs 3

  move37 exec plot.py --pip seaborn --out figures

  echo 'print(6 * 7)' | move37 exec -
"""


def register(app: typer.Typer) -> None:
    """Add `exec`."""
    app.command("exec", help=HELP, short_help="Run a Python file in the sandbox.")(exec_file)


@taking("sandbox", "runtime", "image")
def exec_file(
    settings: Settings,
    file: Annotated[str, typer.Argument(help="The program; - reads it from standard input.", metavar="FILE|-")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="The program's own arguments, after --.", metavar="[-- ARGUMENTS]")
    ] = None,
    gpu: Annotated[int, typer.Option(help="GPUs that it gets for itself.", metavar="N", min=0)] = 0,
    memory: Annotated[str, typer.Option(help="Of all its processes: 512m, 2g.", metavar="SIZE")] = "2g",
    timeout: Annotated[
        str | None, typer.Option(help="Seconds, or 10m, 2h.  [default: 1h]", metavar="SECONDS", show_default=False)
    ] = None,
    net: Annotated[Literal["none"], typer.Option(help="The only network there is: none.")] = "none",
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--in",
            help="A file or folder that the program finds beside it, as a read-only copy; with a slash at its end, "
            "what is in the folder. Links are not followed. Repeatable.",
            metavar="PATH",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where its new files go: those in $MOVE37_OUT and those beside the program.", metavar="DIR"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into --out although it is not empty.")] = False,
    hidden: Annotated[bool, typer.Option("--hidden", help="Return files whose names begin with a dot, too.")] = False,
    pip: Annotated[
        list[str] | None,
        typer.Option(help="A package that it may import: its wheel is sent along. Repeatable.", metavar="NAME"),
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="A variable that it sees. Repeatable.", metavar="NAME=VALUE")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Pass output on as it is, escape sequences too.")] = False,
) -> None:
    """Everything that is wrong with the request is found before anything starts."""
    from move37.app.running import results
    from move37.app.running.request import ExecRequest, run

    limit, memory_bytes, variables = _positive_seconds(timeout), parse_size(memory), parse_env(env or [])
    script, files = gather_input(file, given or [])
    results.prepare_out(out, force=force)
    request = ExecRequest(
        argv=("python", script, *(arguments or ())),
        files=files,
        sandbox=settings.sandbox,
        memory_bytes=memory_bytes,
        seconds=limit,
        cache=settings.home / "cache",
        stdin=b"" if file == "-" else standard_input(),
        env=variables,
        pip=tuple(pip or ()),
        gpus=gpu,
        out=out,
        hidden=hidden,
        raw=raw,
        source=None if file == "-" else Path(file),
    )
    raise typer.Exit(run(request))


def parse_size(text: str) -> int:
    """Bytes of "512m", "2g", "1.5g". Raises `BadInput`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmg]?)(?:i?b)?", text.strip().lower())
    size = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not 16 * MIB <= size <= MOST_MEMORY:
        raise BadInput(f"--memory {text[:40]}: write a size of at least 16m, such as 512m or 2g")
    return int(size)


def parse_env(given: list[str]) -> dict[str, str]:
    """NAME=VALUE pairs. Raises `BadInput` for another form."""
    found = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise BadInput(f"--env {pair}: write NAME=VALUE")
        found[name] = value
    return found


def _positive_seconds(text: str | None) -> float:
    if text is None:
        return DEFAULT_SECONDS
    try:
        value = seconds(text)
    except ValueError as error:
        raise BadInput(f"--timeout {text}: {error}") from error
    if not 0 < value <= YEAR:
        raise BadInput(f"--timeout {text[:40]}: a program needs some time to run, and at most a year")
    return value
