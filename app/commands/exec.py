"""`move37 exec FILE`: a safe replacement for `python FILE`.

Read in this order: `exec_file` (the options), `gather_input` (FILE and --in become the job's files), `Printer` (live,
harmless output), `_run`. The status is the program's own; 124 past its time, 137 for memory, 125 for a fault of ours,
2 for wrong use. Not covered: programs that read standard input (it is empty), and interactive terminals.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import uuid4

import typer

from move37.app.commands.options import Image, Runtime, SandboxName
from move37.app.commands.options import given as flags_given
from move37.app.exits import BadInput
from move37.app.quantities import seconds

if TYPE_CHECKING:
    from move37.app.settings import SandboxSettings
    from move37.sandbox.job import Job, Outcome, Stream

OUR_FAULT = 125
INTERRUPTED = 130
MIB = 1024 * 1024
MAX_INPUT_BYTES = 1024 * MIB
DEFAULT_SECONDS = 3600.0
SKIPPED = {"__pycache__", ".git", ".venv", ".move37"}
UNITS = {"": 1, "b": 1, "k": 1024, "m": MIB, "g": 1024 * MIB}

HELP = """Run a Python file in the sandbox: a safe replacement for `python FILE`.

Output is live and the exit status is the program's own (124: out of time, 137: out of memory, 125: the sandbox
itself failed). The program sees no network, none of your files or environment, and a folder of its own, which ends
with it. NumPy, SciPy and PyTorch are there.

Examples:

  move37 exec train.py --timeout 600 --memory 4g

  move37 exec main.py --in helpers.py --in data/ --out results -- --epochs 3

  echo 'print(6 * 7)' | move37 exec -
"""


def register(app: typer.Typer) -> None:
    """Add `exec`."""
    app.command("exec", help=HELP, short_help="Run a Python file in the sandbox.")(exec_file)


def exec_file(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="The program; - reads it from standard input.", metavar="FILE|-")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="The program's own arguments, after --.", metavar="[-- ARGUMENTS]")
    ] = None,
    sandbox: SandboxName = None,
    runtime: Runtime = None,
    image: Image = None,
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
    raw: Annotated[bool, typer.Option("--raw", help="Pass output on as it is, escape sequences too.")] = False,
) -> None:
    """Everything that is wrong with the request is found before anything starts."""
    limit = _positive_seconds(timeout)
    memory_bytes = parse_size(memory)
    if out is not None and out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is a file: name a folder")
    wanted = {"sandbox": sandbox, "runtime": runtime, "image": image}
    settings = context.obj.with_flags(**flags_given(wanted)).sandbox
    script, files = gather_input(file, given or [])
    request = Request(
        argv=("python", script, *(arguments or ())),
        files=files,
        sandbox=settings,
        gpus=gpu,
        memory_bytes=memory_bytes,
        seconds=limit,
        out=out,
        raw=raw,
    )
    raise typer.Exit(run(request))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for."""

    argv: tuple[str, ...]
    files: dict[str, bytes]
    sandbox: SandboxSettings
    gpus: int
    memory_bytes: int
    seconds: float
    out: Path | None
    raw: bool


def parse_size(text: str) -> int:
    """Bytes of "512m", "2g", "1.5g". Raises `BadInput`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmg]?)(?:i?b)?", text.strip().lower())
    size = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if size < 16 * MIB:
        raise BadInput(f"--memory {text}: write a size of at least 16m, such as 512m or 2g")
    return size


def _positive_seconds(text: str | None) -> float:
    if text is None:
        return DEFAULT_SECONDS
    try:
        value = seconds(text)
    except ValueError as error:
        raise BadInput(f"--timeout {text}: {error}") from error
    if value <= 0:
        raise BadInput(f"--timeout {text}: a program needs some time to run")
    return value


def gather_input(file: str, given: list[str]) -> tuple[str, dict[str, bytes]]:
    """The program's path in its folder, and all files by path. Raises `BadInput`.

    A FILE that lies in a folder given with --in runs at its place there, so that it finds its siblings.
    """
    from move37.sandbox.result_validation import fault

    files: dict[str, bytes] = {}
    places: dict[Path, str] = {}
    total = 0
    for name in given:
        for source, target in _below(name):
            if problem := fault(target):
                raise BadInput(f"--in {name}: {problem}; rename the file, or leave it out")
            total += source.stat().st_size
            if total > MAX_INPUT_BYTES:
                raise BadInput(f"--in {name}: more than {MAX_INPUT_BYTES // MIB} MiB; give only what the program reads")
            files[target] = _read(source)
            places[source.resolve()] = target
    if file == "-":
        files["stdin.py"] = sys.stdin.buffer.read()
        return "stdin.py", files
    path = Path(file)
    if not path.is_file():
        raise BadInput(f"{file} {'is a folder' if path.is_dir() else 'does not exist'}: name a Python file, or - ")
    if (place := places.get(path.resolve())) is not None:
        return place, files
    if problem := fault(path.name):
        raise BadInput(f"{problem}: rename the program")
    if path.name in files:
        raise BadInput(f"--in brings another file called {path.name}: rename one of them")
    files[path.name] = _read(path)
    # A program is never taken for an option of the interpreter.
    return (f"./{path.name}" if path.name.startswith("-") else path.name), files


def _below(name: str) -> Iterator[tuple[Path, str]]:
    """(file, its path in the sandbox) of everything that one --in names."""
    root = Path(name)
    if root.is_file():
        yield root, root.name
        return
    if not root.is_dir():
        raise BadInput(f"--in {name} does not exist")
    prefix = "" if name.endswith(("/", os.sep)) or root.name in ("", "..") else root.name + "/"
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - SKIPPED)
        for entry in sorted(names):
            path = Path(folder, entry)
            if path.is_file() and not path.is_symlink():
                yield path, prefix + path.relative_to(root).as_posix()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


class Printer:
    """Passes output on while the program runs: stdout to stdout, stderr to stderr."""

    def __init__(self, *, raw: bool) -> None:
        from move37.sandbox.text import Harmless

        self._raw = raw
        self._filters = {"stdout": Harmless(), "stderr": Harmless()}
        self._targets = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._ends_line = True

    def hear(self, stream: Stream, data: bytes, *, last: bool = False) -> None:
        """Raises `BrokenPipeError` when nobody reads us any more (`| head`), which ends the program."""
        if not self._raw:
            data = self._filters[stream].feed(data, last=last).encode()
        if data:
            self._targets[stream].buffer.write(data)
            self._targets[stream].buffer.flush()
            self._ends_line = data.endswith(b"\n")

    def finish(self) -> None:
        """What was held back: half a character at the end."""
        self.hear("stdout", b"", last=True)
        self.hear("stderr", b"", last=True)

    def say(self, message: str) -> None:
        """A line of our own on stderr, never glued to the program's."""
        start = "" if self._ends_line else "\n"
        print(f"{start}move37: {message}", file=sys.stderr, flush=True)
        self._ends_line = True


def run(request: Request) -> int:
    """The exit status."""
    from move37.sandbox.errors import SandboxError

    printer = Printer(raw=request.raw)
    try:
        outcome = asyncio.run(_run(request, printer))
        printer.finish()
    except SandboxError as error:
        printer.say(str(error))
        return OUR_FAULT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # As the shell reports a program that wrote into a closed pipe; Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    if outcome.truncated:
        printer.say(f"output was cut after {_job(request).limits.output_bytes // MIB} MiB; the program ran on")
    return _conclude(request, outcome, printer)


async def _run(request: Request, printer: Printer) -> Outcome:
    from move37.app.backends import docker_settings
    from move37.sandbox.factory import open_sandbox

    docker = docker_settings(request.sandbox)
    sandbox = await open_sandbox(request.sandbox.backend, trusted_source="person", single=True, docker=docker)
    try:
        return await sandbox.run(_job(request), on_output=printer.hear)
    finally:
        await sandbox.close()


def _job(request: Request) -> Job:
    from move37.sandbox.job import Job, Limits

    name = f"exec-{uuid4().hex[:12]}"
    limits = Limits(
        wall_seconds=request.seconds,
        memory_bytes=request.memory_bytes,
        pids=512,
        disk_bytes=max(request.memory_bytes, 1024 * MIB) + sum(map(len, request.files.values())),
        file_bytes=1024 * MIB,
        result_bytes=1024 * MIB,
        threads=max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1),
        gpus=request.gpus,
    )
    collect = ("*", "./*") if request.out is not None else ()
    return Job(id=name, trust=name, argv=request.argv, files=request.files, collect=collect, limits=limits)


def _conclude(request: Request, outcome: Outcome, printer: Printer) -> int:
    from move37.sandbox.job import Status, left_out_words
    from move37.sandbox.result_validation import write_results

    if outcome.status in (Status.TIMED_OUT, Status.OUT_OF_MEMORY, Status.RESULTS_REFUSED):
        printer.say(outcome.message)
    if outcome.left_out_count:
        printer.say(left_out_words(outcome))
    if request.out is not None:
        try:
            request.out.mkdir(parents=True, exist_ok=True)
            write_results(outcome.files, request.out)
        except (OSError, ValueError) as error:
            printer.say(f"results could not be written to {request.out}: {error}")
            return OUR_FAULT
    if outcome.status is Status.RESULTS_REFUSED and outcome.exit_code == 0:
        return 1
    return outcome.exit_code
