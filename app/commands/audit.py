"""`move37 audit PATH`: other people's architectures through every gate; `--log` for the log of a loop."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from move37.app.commands.options import taking
from move37.app.exits import BadInput, EnvironmentFault
from move37.app.text import harmless

if TYPE_CHECKING:
    from move37.app.settings import Settings
    from move37.lab.audit.run import Audited

LARGEST_LOG = 64 * 2**20  # bytes


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit", help=_HELP, short_help="Judge somebody else's architectures, or a log.")(audit)


_HELP = """Judge architectures that somebody else published: every gate, in the sandbox, a limit of CPU time each.

PATH is a folder of Python files, one file, or an archive in JSON (a list of objects with name and program). Layers in
the style of flash-linear-attention are adapted, and its modules served by our kernels. What cannot be tested is called
that. With --log PATH is a table of runs with `status` and a loss (autoresearch's results.tsv), and the question is how
many of the kept gains survive a correction.

\b
  move37 audit 106.json --json audit.json
  move37 audit their_layers/ --markdown audit.md --keep judged/
  move37 audit --log results.tsv --noise 0.0012
"""


@taking("workers", "sandbox", "runtime", "image")
def audit(
    settings: Settings,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder, a file, an archive, or a log.")],
    log: Annotated[bool, typer.Option("--log", help="PATH is the log of a loop.")] = False,
    noise: Annotated[
        float | None, typer.Option(help="Of one run of the log, in its unit.", metavar="SD", show_default=False)
    ] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write JSON here; - is stdout.", metavar="OUT")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write Markdown here.", metavar="OUT")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page here.", metavar="OUT")] = None,
    keep: Annotated[Path | None, typer.Option("--keep", help="Keep the judged files here.", metavar="DIR")] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", help="CPU seconds for one program.", metavar="S", min=1.0)
    ] = 120.0,
) -> None:
    """Read, judge, write what was asked for, print the table."""
    if log:
        _audit_log(path, noise, as_json)
        return
    from move37.app.views.audit import html_of, kept_files, markdown_of, record_of
    from move37.lab.audit.programs import read_programs

    programs = read_programs(path)
    _check_outputs([as_json, markdown, html], keep)
    audited = asyncio.run(_audit(settings, programs, timeout))
    failed = [] if markdown is None else _write(markdown, markdown_of(audited, title=path.name))
    failed += [] if html is None else _write(html, html_of(audited, title=path.name))
    failed += [] if keep is None else _keep(keep, kept_files(audited))
    failed += [] if as_json is None else _write(as_json, _json(record_of(audited)))
    if as_json is None or str(as_json) != "-":
        _print(audited)
    if failed:
        raise EnvironmentFault("; ".join(failed))


async def _audit(settings: Settings, programs: tuple[object, ...], seconds: float) -> tuple[Audited, ...]:
    from move37.lab.audit import run
    from move37.sandbox.factory import open_sandbox

    workers = settings.campaign.workers or max(1, min(8, os.cpu_count() or 1))
    sandbox = await open_sandbox(
        settings.sandbox.backend, trusted_source="person", workers=workers, docker=settings.sandbox.docker()
    )
    done = 0

    def tell(found: Audited) -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty():
            print(f"\r{done} of {len(programs)}", end="", file=sys.stderr, flush=True)

    try:
        return await run.audit(programs, sandbox, workers=workers, seconds=seconds, on_done=tell)  # type: ignore[arg-type]
    finally:
        if sys.stderr.isatty():
            print(file=sys.stderr)
        await sandbox.close()


def _audit_log(path: Path, noise: float | None, as_json: Path | None) -> None:
    from move37.lab.audit.logs import as_record, audit_file, log_text

    if noise is not None and not noise > 0.0:
        raise BadInput(f"--noise {noise} is no standard deviation: it has to be above zero")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_LOG + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): name the log of a loop") from error
    if len(data) > LARGEST_LOG:
        raise BadInput(f"{path} is over {LARGEST_LOG // 2**20} MiB: give a part of it")
    _check_outputs([as_json], None)
    found = audit_file(data, noise=noise)
    failed = [] if as_json is None else _write(as_json, _json(as_record(found)))
    if as_json is None or str(as_json) != "-":
        for gain in found.gains:
            sign = "survives" if gain.survives else "does not survive"
            typer.echo(harmless(f"{gain.gain:+.5g}  p {gain.p:.3g}  {sign}  {gain.name}"))
        typer.echo(log_text(found))
    if failed:
        raise EnvironmentFault("; ".join(failed))


def _check_outputs(outputs: Sequence[Path | None], keep: Path | None) -> None:
    """Raises `BadInput` before anything is judged where the answer could not be written."""
    for path in outputs:
        if path is not None and str(path) != "-" and (why := _unwritable(path)):
            raise BadInput(f"{path} cannot be written ({why}): name a file in a folder that exists")
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=keep).close()
        except OSError as error:
            raise BadInput(f"{keep} cannot be written ({error.strerror}): name a folder of yours") from error


def _unwritable(path: Path) -> str:
    """Why the file cannot be written, or ""; leaves everything as it is."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            return ""  # a pipe would wait for its reader
        new = not path.exists()
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _json(record: object) -> str:
    return json.dumps(record, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> list[str]:
    """What went wrong, so that the other outputs are written all the same."""
    if str(path) == "-":
        sys.stdout.write(text)
        return []
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        return [f"{path} cannot be written ({error.strerror})"]
    return []


def _keep(folder: Path, files: Mapping[str, str]) -> list[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        return [f"{folder} cannot be written ({error.strerror})"]
    return []


def _print(audited: tuple[Audited, ...]) -> None:
    from move37.app.fitting import table
    from move37.app.terminal import console
    from move37.app.views.audit import headline, table_of

    screen = console()
    screen.print(table(table_of(audited)), "")
    screen.print(headline(audited))
