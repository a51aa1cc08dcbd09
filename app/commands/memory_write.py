"""`move37 memory add`, `import` and `forget`: what changes the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from move37.app.commands.memory_common import opened, progress_bar
from move37.app.exits import BadInput
from move37.app.text import one_line
from move37.lab.tasks.registry import full_name, usage
from move37.memory.folder import of_other_kinds

if TYPE_CHECKING:
    from move37.memory.importing import Imported
    from move37.memory.ingest import FileRead
    from move37.memory.records import Entry, Lesson, RecordedPrinciple

TaskOption = Annotated[
    str | None,
    typer.Option(help=f"The task that it is about: {usage()} [default: it may help any].", metavar="TASK"),
]


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("add", help=_ADD)(add)
    group.command("import", help=_IMPORT)(import_)
    group.command("forget", help=_FORGET)(forget)


_ADD = """Add a paper, or bring in the built-in base.

\b
  move37 memory add --builtin
  move37 memory add notes.md
  move37 memory add paper.pdf

Markdown in the format of memory/cognition/README.md keeps its structure. Other text is read by the chosen language
model, when one is chosen, and is otherwise split and indexed as it stands.
"""


def add(
    context: typer.Context,
    paper: Annotated[
        Path | None, typer.Argument(help="A .md, .pdf, .bib, .ris, .txt or .json file.", metavar="PAPER")
    ] = None,
    builtin: Annotated[bool, typer.Option("--builtin", help="The built-in cognition base.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Reads the paper [default: the settings' model].", metavar="URI")
    ] = None,
    task: TaskOption = None,
) -> None:
    """One file, the built-in base, or both."""

    if paper is None and not builtin:
        raise BadInput("name a file, or give --builtin")
    with opened(context) as memory:
        if builtin:
            import asyncio

            with progress_bar("embedding") as progress:
                count = asyncio.run(memory.load_builtin(progress=progress))
            typer.echo(f"{count} insights of the built-in base were new or changed", err=True)
        if paper is not None:
            from move37.app.extraction import extractor
            from move37.memory.importing import bring_in
            from move37.memory.ingest import read_file

            found = read_file(paper, extractor=extractor(context.obj, model))
            _left_out(paper, found)
            with opened(context, read_only=True) as reader, progress_bar("embedding") as progress:
                done = bring_in(reader, memory, entries=_about(found.entries, task), progress=progress)
            said = f"{paper.name}: {len(found.entries)} insights, {done.changed} of them new or changed"
            typer.echo(said + _waiting(done), err=True)
            _say_replaced(done)


_IMPORT = """Import a file or a folder of them: papers (.md, .pdf, .txt), references (.bib, .ris, CSL
or cognition .json), or an export (.jsonl).

\b
  move37 memory import papers/
  move37 memory import memory.jsonl

An item's key is its file's stem, or its path where two files of a folder share that. A file that was imported before
and did not change costs nothing. Files of a folder that cannot be read are named on stderr and skipped. Beside a
campaign it works, too: the campaign takes the items in as it goes.
"""


def import_(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A file or a folder.", metavar="PATH")],
    task: TaskOption = None,
) -> None:
    """Read first, so that the embedding sees large batches."""
    from move37.memory.importing import bring_in

    if not path.exists():
        raise BadInput(f"{path} does not exist: name a file or a folder")
    read = _gathered(path)
    with (
        opened(context, read_only=True) as reader,
        opened(context) as memory,
        progress_bar("embedding") as progress,
    ):
        done = bring_in(
            reader,
            memory,
            entries=_about(read.entries, task),
            lessons=read.lessons,
            principles=read.principles,
            progress=progress,
        )
    said = f", {len(read.lessons)} experiments" if read.lessons else ""
    said += f", {len(read.principles)} principles" if read.principles else ""
    said = f"{read.files} files: {len(read.entries)} insights, {done.changed} of them new or changed{said}"
    typer.echo(said + _waiting(done), err=True)
    _say_replaced(done)


def _say_replaced(done: Imported) -> None:
    """What is gone, by key: whoever has another file of that name under it has to know."""
    for key, titles in done.replaced.items():
        named = "; ".join(one_line(title, 60) for title in titles[:3])
        typer.echo(
            f"{key}: {len(titles)} stored titles are not in this file and were replaced ({named}"
            f"{'; ...' if len(titles) > 3 else ''}). "
            "If they are another file's, rename one of the two and add both again.",
            err=True,
        )


def _waiting(done: Imported) -> str:
    return "; the process that holds the memory takes them in as it goes" if done.waiting else ""


@dataclass(kw_only=True)
class _Gathered:
    files: int = 0
    entries: list[Entry] = field(default_factory=list)
    lessons: list[Lesson] = field(default_factory=list)
    principles: list[RecordedPrinciple] = field(default_factory=list)


def _gathered(path: Path) -> _Gathered:
    """What a file or a folder holds; what cannot be read is said on stderr."""
    from move37.memory.export import read_lines
    from move37.memory.ingest import FileRead, read_all, read_file

    out = _Gathered()
    if path.suffix == ".jsonl" and path.is_file():
        exported = read_lines(path)
        return _Gathered(
            files=1,
            entries=list(exported.entries),
            lessons=list(exported.lessons),
            principles=list(exported.principles),
        )
    results = read_all(path) if path.is_dir() else iter([(path, read_file(path))])
    for found, result in results:
        if isinstance(result, FileRead):
            _left_out(found, result)
            out.entries += result.entries
            out.files += 1
        else:
            typer.echo(f"skipped {found.name}: {result}", err=True)
    if path.is_dir() and (others := of_other_kinds(path)):
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items())[:6])
        typer.echo(f"left out: {kinds}{', ...' if len(others) > 6 else ''} (no kind that is read)", err=True)
    if not out.files:
        raise BadInput(f"{path} holds no file that can be imported")
    return out


def _left_out(path: Path, found: FileRead) -> None:
    if found.left_out:
        typer.echo(f"{path.name}: {found.left_out}", err=True)


def _about(entries: Sequence[Entry], task: str | None) -> Sequence[Entry]:
    """The same insights, for one task alone."""
    return entries if task is None else [replace(entry, task=full_name(task)) for entry in entries]


_FORGET = """Remove an item by its id, or everything under a key (a paper's, an experiment's).

\b
  move37 memory forget 961ea32e-cbac-5e18-8664-0a13901d5332
  move37 memory forget notes
"""


def forget(
    context: typer.Context,
    item: Annotated[str, typer.Argument(help="An id, a key, or an experiment.", metavar="ID")],
) -> None:
    """Gone for good; the archive keeps its experiments."""
    with opened(context) as memory:
        count = memory.index(everything=True).forget(item)  # else what waits would come back
    typer.echo(f"{count} forgotten", err=True)
