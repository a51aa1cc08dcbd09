"""What `move37 exec` was asked for, as a job, and its end as a status."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from move37.app.running import results
from move37.app.running.packages import FOLDER, packages
from move37.app.running.printer import Printer
from move37.sandbox.errors import SandboxError
from move37.sandbox.factory import open_sandbox
from move37.sandbox.job import Job, Limits, Outcome, Status, left_out_words

if TYPE_CHECKING:
    from move37.app.settings import SandboxSettings
    from move37.sandbox.sandbox import Sandbox

OUR_FAULT = 125
INTERRUPTED = 130
MIB = 1024 * 1024
LOOKED_AT = 16 * MIB  # of results that only their names are wanted of
FIGURES = "move37_figures"  # the module that writes shown figures
_DRAWS = re.compile(rb"matplotlib|pylab|seaborn|\.plot\b")  # what may end in a figure that is shown
_NO_SCREEN = re.compile(
    rb"No module named '(?:_?tkinter|PyQt\w*|PySide\w*|gi|wx)'|Cannot load backend|qt binding", re.I
)
_MISSING = re.compile(rb"No module named '([A-Za-z_]\w*)[\w.]*'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecRequest:
    """What the command line asked for."""

    argv: tuple[str, ...]
    files: Mapping[str, bytes]
    sandbox: SandboxSettings
    memory_bytes: int
    seconds: float  # wall clock
    cache: Path
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    pip: tuple[str, ...] = ()
    gpus: int = 0
    out: Path | None = None
    hidden: bool = False
    raw: bool = False
    source: Path | None = None  # where FILE lies, for hints


def run(request: ExecRequest) -> int:
    """The exit status: the program's own, or one of ours."""
    printer = Printer(raw=request.raw)
    try:
        outcome = asyncio.run(_run(request, printer))
        printer.finish()
    except SandboxError as error:
        if printer.gone.is_set():
            return 128 + signal.SIGPIPE
        printer.finish()
        printer.say(str(error))
        return OUR_FAULT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # as the shell reports a program that wrote into a closed pipe
        return 128 + signal.SIGPIPE
    return _conclude(request, outcome, printer)


async def _run(request: ExecRequest, printer: Printer) -> Outcome:
    docker = request.sandbox.docker()
    sandbox: Sandbox = await open_sandbox(request.sandbox.backend, trusted_source="person", single=True, docker=docker)
    try:
        more = packages(request.pip, request.cache, docker=sandbox.name.startswith("docker"))
        return await sandbox.run(job_of(request, more), on_output=printer.hear)
    finally:
        await sandbox.close()


def job_of(request: ExecRequest, more: Mapping[str, bytes]) -> Job:
    """The job: the program, what it finds beside it, and limits."""
    name = f"exec-{uuid4().hex[:12]}"
    files, env = {**request.files, **more}, dict(request.env)
    if any(_DRAWS.search(content) for path, content in request.files.items() if path.endswith(".py")):
        backend = Path(__file__).with_name("figures_backend.py")
        files[f"{FIGURES}.py"] = backend.read_bytes()
        env.setdefault("MPLBACKEND", f"module://{FIGURES}")
    if more:
        env["PYTHONPATH"] = os.pathsep.join(part for part in (FOLDER, env.get("PYTHONPATH", "")) if part)
    result_bytes = 1024 * MIB if request.out is not None else LOOKED_AT
    limits = Limits(
        wall_seconds=request.seconds,
        memory_bytes=request.memory_bytes,
        pids=512,
        disk_bytes=max(request.memory_bytes, 1024 * MIB) + sum(map(len, files.values())),
        file_bytes=1024 * MIB,
        result_bytes=result_bytes,
        threads=max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1),
        gpus=request.gpus,
    )
    return Job(
        id=name,
        trust=name,
        argv=request.argv,
        files=files,
        env=env,
        collect=("*", "./*"),
        stdin=request.stdin,
        limits=limits,
    )


def _conclude(request: ExecRequest, outcome: Outcome, printer: Printer) -> int:
    if outcome.truncated:
        printer.say(f"output was cut after {job_of(request, {}).limits.output_bytes // MIB} MiB; the program ran on")
    if outcome.status in (Status.TIMED_OUT, Status.OUT_OF_MEMORY):
        printer.say(outcome.message)
    if hint := _hint(request, printer.tail) if outcome.exit_code else "":
        printer.say(hint)
    if request.out is None:
        if told := results.gone(_written(outcome)):
            printer.say(told)
        return _status(outcome, printer)
    withheld = results.withheld(outcome.files, hidden=request.hidden)
    kept = {name: content for name, content in outcome.files.items() if name not in withheld}
    try:
        withheld |= results.write(kept, outcome.executables, request.out)
    except OSError as error:
        printer.say(f"results could not be written to {request.out}: {error}")
        return OUR_FAULT
    count = len(withheld) + outcome.left_out_count
    if told := left_out_words(replace(outcome, left_out={**withheld, **outcome.left_out}, left_out_count=count)):
        printer.say(told)
    return _status(outcome, printer)


def _status(outcome: Outcome, printer: Printer) -> int:
    """The program's own; ours where it ended well and its output could not be written."""
    if printer.fault:
        printer.say(f"output could not be written: {printer.fault}")
    return outcome.exit_code or (OUR_FAULT if printer.fault else 0)


def _written(outcome: Outcome) -> dict[str, int]:
    """Files of the program by size; of those that were too large to look at, the size is not known."""
    large = {name: LOOKED_AT for name, why in outcome.left_out.items() if "MiB" in why or "large" in why}
    found = {name: len(content) for name, content in outcome.files.items()} | large
    return {name: size for name, size in found.items() if "__pycache__" not in name}


def _hint(request: ExecRequest, tail: bytes) -> str:
    """What a program that did not find a module may have meant; empty where nothing is known."""
    if b"matplotlib" in tail and _NO_SCREEN.search(tail):
        return "there is no screen: leave matplotlib.use(...) out, and what is shown is written as figure-1.png"
    found = _MISSING.search(tail)
    if found is None:
        return ""
    name = found[1].decode()
    beside = request.source.parent if request.source else Path()
    for sibling in (beside / f"{name}.py", beside / name):
        if sibling.exists() and request.source is not None:
            return f"{sibling.name} lies beside {request.source.name}: give it along with --in {sibling}"
    if name in sys.stdlib_module_names:
        return ""
    return f"{name} is not in the sandbox: --pip {name} sends it along"
