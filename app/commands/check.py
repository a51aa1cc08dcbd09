"""`move37 check FILE`: every gate on one candidate, in the sandbox."""

from __future__ import annotations

import asyncio
import io
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from move37.app.commands.options import taking
from move37.app.exits import BadInput, Exit
from move37.app.reading import print_json
from move37.lab.records import Candidate, GateResult
from move37.lab.tasks import open_gates

if TYPE_CHECKING:
    from move37.app.settings import Settings
    from move37.lab.judging.checked import Checked

LARGEST = 16 * 2**20  # bytes of a candidate


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", help=_HELP, short_help="Run every gate on one candidate.")(check)


_HELP = """Run every gate on one candidate: a Python file that defines `class Mixer(torch.nn.Module)`.

It is executed in the sandbox, never here. Exit status 0: no gate fails; 1: one does; 2: there is no such file.

\b
  move37 check my_mixer.py
  move37 check my_mixer.py --json
  move37 check my_mixer.py --sandbox process
  move37 check initial_program.py --task program:lab/tasks/examples/circles
"""


@taking("task", "sandbox", "runtime", "image")
def check(
    settings: Settings,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The candidate.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read, run the gates, print; the exit status is the answer."""
    source = read_source(file)
    checked = asyncio.run(_check(source, file, settings))
    if as_json:
        print_json(as_record(checked))
    else:
        _print(checked, file)
    if not checked.passed:
        raise typer.Exit(Exit.NO)


def read_source(file: Path) -> str | None:
    """The text of `file` as Python would read it; None when it is readable and cannot be Python text.

    Raises `BadInput` when it cannot be read at all.
    """

    if file.is_dir():
        raise BadInput(f"{file} is a folder: name the candidate's file")
    try:
        with file.open("rb") as handle:  # which may be a pipe, or a device without an end
            data = handle.read(LARGEST + 1)
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}): name a file that exists and is readable") from error
    if len(data) > LARGEST:
        raise BadInput(f"{file} is over {LARGEST // 2**20} MiB: name a candidate's file")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError):
        return None


def as_record(checked: Checked) -> dict[str, Any]:
    """The JSON that other programs rely on."""
    missing = int(checked.facts.get("locks_missing", 0.0))
    found: dict[str, Any] = {"passed": checked.passed, "gates": gate_records(checked.results)}
    return found | ({"locks_missing": missing} if missing else {})


def gate_records(results: Sequence[GateResult]) -> list[dict[str, Any]]:
    """Each gate's answer, as JSON shows it."""
    return [
        {"name": r.name, "passed": r.passed, "value": r.value, "limit": r.limit, "message": r.message} for r in results
    ]


async def _check(source: str | None, file: Path, settings: Settings) -> Checked:
    from move37.lab.judging.checked import Checked
    from move37.lab.judging.judging import refused

    if source is None:
        return Checked(results=refused("not Python: the file is not text in the encoding that it declares, or UTF-8"))
    return await _in_sandbox(Candidate(source=source, author="person"), file.stem, settings)


async def _in_sandbox(candidate: Candidate, trust: str, settings: Settings) -> Checked:
    from move37.sandbox.factory import open_sandbox

    wanted, run_gates = settings.sandbox, open_gates(settings.campaign.task, cache=settings.home)
    docker = wanted.docker()
    sandbox = await open_sandbox(wanted.backend, trusted_source="person", workers=1, docker=docker)
    try:
        return await run_gates(candidate, trust=trust, sandbox=sandbox, known=())
    finally:
        await sandbox.close()


def _print(checked: Checked, file: Path) -> None:
    from move37.app.fitting import table
    from move37.app.terminal import console
    from move37.app.views.experiment import gates_table
    from move37.app.views.missing import locks_text

    screen = console()
    screen.print(table(gates_table(checked.results)))
    if note := locks_text(int(checked.facts.get("locks_missing", 0.0))):
        screen.print(note)
    shut = [result.name for result in checked.results if result.passed is False]
    says = f"fails {', '.join(shut)}" if shut else "passes every gate that could run"
    screen.print("", f"{file.name} {says}", sep="\n")
