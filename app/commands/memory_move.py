"""`move37 memory export`, `migrate` and `check`: out of the memory, to another one, and papers before they go in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from move37.app.commands.memory_common import opened, progress_bar
from move37.app.exits import BadInput


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("export", help=_EXPORT)(export)
    group.command("migrate", help=_MIGRATE)(migrate)
    group.command("check", help=_CHECK)(check)


_EXPORT = """Print everything but the built-in base as JSON Lines; `move37 memory import` reads it back.

\b
  move37 memory export > memory.jsonl
  move37 memory export --builtin --out memory.jsonl
"""


def export(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option(help="Write here instead of stdout.", metavar="FILE")] = None,
    builtin: Annotated[bool, typer.Option("--builtin", help="The built-in base too.")] = False,
) -> None:
    """One line an item."""
    from move37.memory.export import lines

    with opened(context, read_only=True) as memory:
        if out is None:
            for line in lines(memory.index(), builtin=builtin):
                typer.echo(line)
        else:
            out.write_text("".join(line + "\n" for line in lines(memory.index(), builtin=builtin)), encoding="utf-8")


_MIGRATE = """Copy this memory to a Qdrant server and verify it there by count and checksum.

\b
  docker compose up -d qdrant
  QDRANT_API_KEY=... move37 memory migrate http://127.0.0.1:6333

It may be stopped and started again: it goes on after the last page. The source stays as it is; set memory.url to use
the server from then on.
"""


def migrate(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="The server's URL.", metavar="URL")],
) -> None:
    """Both collections."""
    import hashlib

    from move37.memory.migrate import copy
    from move37.memory.server import connect

    target = connect(url, context.obj.memory.api_key)
    notes = context.obj.home / "memory" / f"migration-{hashlib.sha256(url.encode()).hexdigest()[:12]}.json"
    try:
        with opened(context) as memory, progress_bar("copying") as progress:
            done = copy(memory.index(), target, notes, progress=progress)
    finally:
        target.close()
    for part in done:
        typer.echo(f"{part.name}: {part.points} items there, {part.written} written now, checksum {part.checksum[:16]}")
    typer.echo(f"to use it: MOVE37_MEMORY__URL={url}", err=True)


_CHECK = """Validate paper files of the cognition format; status 1 when there is something to object to.

\b
  move37 memory check memory/cognition
  move37 memory check 2412.06464.md
"""


def check(path: Annotated[Path, typer.Argument(help="A file or a folder.", metavar="PATH")]) -> None:
    """One line a problem."""
    from move37.memory.papers import parse
    from move37.memory.review import check_folder, problems

    if not path.exists():
        raise BadInput(f"{path} does not exist: name a file or a folder")
    if path.is_dir():
        if not any(p.name != "README.md" for p in path.glob("*.md")):
            raise BadInput(f"{path} holds no .md file: name a paper, or a folder of them")
        found = check_folder(path)
    else:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path} cannot be read as UTF-8 text: name a paper in Markdown") from error
        said = problems(parse(text, name=path.name), stem=path.stem)
        found = {path.name: said} if said else {}
    for name, lines in found.items():
        for line in lines:
            typer.echo(f"{name}: {line}")
    if found:
        raise typer.Exit(1)
