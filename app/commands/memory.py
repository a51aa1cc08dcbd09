"""`move37 memory`: what papers teach and what experiments taught, from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from move37.memory.index import Found, Progress
    from move37.memory.recall import Memory
    from move37.memory.records import Entry, Lesson, Principle

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]

_HELP = """Search and feed the memory: papers' insights (cognition) and what experiments taught (analyses).

It lies in the home (an engine in this process), or on the Qdrant server that the setting memory.url names.
"""


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help=_HELP, rich_markup_mode=None)
    group.command("add", help=_ADD)(add)
    group.command("search", help=_SEARCH)(search)
    group.command("show", help=_SHOW)(show)
    group.command("export", help=_EXPORT)(export)
    group.command("import", help=_IMPORT)(import_)
    group.command("stats", help=_STATS)(stats)
    group.command("forget", help=_FORGET)(forget)
    group.command("migrate", help=_MIGRATE)(migrate)
    group.command("check", help=_CHECK)(check)
    app.add_typer(group, name="memory")


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
        Path | None, typer.Argument(help="A .md, .pdf, .bib, .txt or .json file.", metavar="PAPER")
    ] = None,
    builtin: Annotated[bool, typer.Option("--builtin", help="The built-in cognition base.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Reads the paper [default: the settings' model].", metavar="URI")
    ] = None,
) -> None:
    """One file, the built-in base, or both."""
    from move37.app.exits import BadInput

    if paper is None and not builtin:
        raise BadInput("name a file, or give --builtin")
    with _opened(context) as memory:
        if builtin:
            import asyncio

            with _progress("embedding") as progress:
                count = asyncio.run(memory.load_builtin(progress=progress))
            typer.echo(f"{count} insights of the built-in base were new or changed", err=True)
        if paper is not None:
            from move37.app.extraction import extractor
            from move37.memory.ingest import read

            entries = read(paper, extractor=extractor(context.obj, model))
            with _progress("embedding") as progress:
                count = memory.index().put_entries(entries, progress=progress)
                memory.index().store.flush("cognition")
            typer.echo(f"{paper.name}: {len(entries)} insights, {count} of them new or changed", err=True)


_SEARCH = """Search by what one observes; one hit an insight or experiment.

\b
  move37 memory search "recall falls as soon as keys repeat"
  move37 memory search --file queries.jsonl --limit 5 --json

QUERIES.jsonl has lines {"id": ..., "text": ...}. With --json the answer is a list with one
{"id", "text", "hits": [{"id", "key", "score", "why", "kind", "title", "name", "operators"}]} for each query, in the
order of the file, also for ids that repeat; for TEXT it is the same list with one item whose id is "text".
"""


def search(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="An observation or a question.", metavar="TEXT")] = None,
    file: Annotated[Path | None, typer.Option(help="Many queries, JSON Lines.", metavar="QUERIES.jsonl")] = None,
    limit: Annotated[int, typer.Option(help="Hits for each query.", min=1, max=100)] = 6,
    as_json: JsonFlag = False,
) -> None:
    """Hybrid search over both collections."""
    from move37.app.exits import BadInput

    if (text is None) == (file is None):
        raise BadInput("give either TEXT or --file QUERIES.jsonl")
    if text is not None and not text.strip():
        raise BadInput("the text is empty: describe what you observe")
    queries = [("text", text)] if text is not None else list(_queries(file))  # type: ignore[arg-type]
    with _opened(context) as memory:
        index = memory.index()
        if not any(index.store.count(name) for name in ("cognition", "analyses")):
            typer.echo("the memory is empty: `move37 memory add --builtin` brings in the built-in papers", err=True)
        answers = []
        with _progress("searching", quiet=len(queries) < 20) as progress:
            for number, (name, query) in enumerate(queries, 1):
                answers.append((name, query, index.search(query, limit=limit)))
                progress(number, len(queries))
    if as_json:
        _print_json(
            [{"id": name, "text": query, "hits": [_hit(item) for item in hits]} for name, query, hits in answers]
        )
        return
    from move37.app.text import harmless

    for name, query, hits in answers:
        if len(answers) > 1:
            typer.echo(harmless(f"{name}: {query}"))
        for place, item in enumerate(hits, 1):
            typer.echo(harmless(f"{place:>3}  {item.score:.3f}  {_title(item)}"))
            typer.echo(harmless(f"            {item.why}"))
            typer.echo(harmless(f"            move37 memory show {item.id}"))
        if not hits:
            typer.echo("  nothing found")


_SHOW = """Print one item by its id, or everything under a key (a paper's, an experiment's). --json gives a list.

\b
  move37 memory show 2412.06464
  move37 memory show 961ea32e-cbac-5e18-8664-0a13901d5332 --json
"""


def show(
    context: typer.Context,
    item: Annotated[str, typer.Argument(help="An id, a key, or an experiment.", metavar="ID")],
    as_json: JsonFlag = False,
) -> None:
    """The whole item."""
    from move37.memory.render import stored

    with _opened(context) as memory:
        found = memory.index().get(item)
    if as_json:
        _print_json([{"id": one.id, "kind": one.kind, **dict(one.payload)} for one in found])
        return
    from move37.app.text import harmless

    for one in found:
        typer.echo(harmless(f"{one.id}  {one.kind}"))
        typer.echo(harmless(stored(one.item)))


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

    with _opened(context) as memory:
        if out is None:
            for line in lines(memory.index(), builtin=builtin):
                typer.echo(line)
        else:
            out.write_text("".join(line + "\n" for line in lines(memory.index(), builtin=builtin)), encoding="utf-8")


_IMPORT = """Import a file or a folder of them: papers (.md, .pdf, .txt, .bib), cognition JSON, or an export (.jsonl).

\b
  move37 memory import papers/
  move37 memory import memory.jsonl

An item's key is its file's stem. A file that was imported before and did not change costs nothing. Files of a folder
that cannot be read are named on stderr and skipped.
"""


def import_(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A file or a folder.")],
) -> None:
    """Read first, then write in one go, so that the embedding sees large batches."""
    from move37.app.exits import BadInput
    from move37.memory.export import read_lines
    from move37.memory.ingest import read, read_all

    if not path.exists():
        raise BadInput(f"{path} does not exist: name a file or a folder")
    entries: list[Entry] = []
    lessons: list[Lesson] = []
    principles: list[Principle] = []
    files = 0
    if path.is_dir():
        for found, result in read_all(path):
            if isinstance(result, Exception):
                typer.echo(f"skipped {found.name}: {result}", err=True)
            else:
                entries += result
                files += 1
        if not files:
            raise BadInput(f"{path} holds no file that can be imported")
    elif path.suffix == ".jsonl":
        exported = read_lines(path)
        entries, lessons, principles = list(exported.entries), list(exported.lessons), list(exported.principles)
        files = 1
    else:
        entries, files = list(read(path)), 1
    with _opened(context) as memory, _progress("embedding") as progress:
        index = memory.index()
        count = index.put_entries(entries, progress=progress)
        index.put_lessons(lessons)
        index.put_principles(principles)
        index.store.flush("cognition")
    said = f", {len(lessons)} experiments" if lessons else ""
    typer.echo(f"{files} files: {len(entries)} insights, {count} of them new or changed{said}", err=True)


_STATS = """Count what the memory holds.

\b
  move37 memory stats
  move37 memory stats --json
"""


def stats(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Counts by kind, origin and status."""
    settings = context.obj
    where = settings.memory.url or str(settings.home / "memory")
    counts: dict[str, Any] = {"where": where, "cognition": {}, "analyses": {}, "queued": 0}
    if settings.memory.url or (settings.home / "memory").is_dir():
        from move37.memory.stats import count

        with _opened(context) as memory:
            counts |= count(memory)
    if as_json:
        _print_json(counts)
        return
    cognition, analyses = counts["cognition"], counts["analyses"]
    typer.echo(f"memory      {where}")
    typer.echo(f"cognition   {cognition.get('insights', 0)} insights of {cognition.get('papers', 0)} papers")
    by_status = ", ".join(f"{number} {status}" for status, number in analyses.get("status", {}).items())
    typer.echo(f"analyses    {analyses.get('experiments', 0)} experiments{f' ({by_status})' if by_status else ''}")
    typer.echo(f"waiting     {counts['queued']} lessons")


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
    with _opened(context) as memory:
        count = memory.index().forget(item)
    typer.echo(f"{count} forgotten", err=True)


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
        with _opened(context) as memory, _progress("copying") as progress:
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


def check(path: Annotated[Path, typer.Argument(help="A file or a folder.")]) -> None:
    """One line a problem."""
    from move37.app.exits import BadInput
    from move37.memory.papers import check_folder, parse, problems

    if not path.exists():
        raise BadInput(f"{path} does not exist: name a file or a folder")
    if path.is_dir():
        found = check_folder(path)
    else:
        said = problems(parse(path.read_text(encoding="utf-8"), name=path.name), stem=path.stem)
        found = {path.name: said} if said else {}
    for name, lines in found.items():
        for line in lines:
            typer.echo(f"{name}: {line}")
    if found:
        raise typer.Exit(1)


@contextmanager
def _opened(context: typer.Context) -> Iterator[Memory]:
    from move37.memory.recall import open_memory

    settings = context.obj
    memory = open_memory(settings.home, url=settings.memory.url, api_key=settings.memory.api_key)
    try:
        yield memory
    finally:
        memory.close_now()


@contextmanager
def _progress(what: str, *, quiet: bool = False) -> Iterator[Progress]:
    """A bar on stderr where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _queries(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a query file, numbered where they have no id."""
    from move37.app.exits import BadInput

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            text = item["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f'{path}, line {number} is no {{"id": ..., "text": ...}}: correct it') from error
        if not isinstance(text, str):
            raise BadInput(f"{path}, line {number}: text is no string")
        yield item.get("id", number), text


def _hit(found: Found) -> dict[str, Any]:
    return {
        "id": found.id,
        "key": found.key,
        "score": round(found.score, 6),
        "why": found.why,
        "kind": found.kind,
        "title": getattr(found.item, "title", _name(found)),
        "name": _name(found),
        "operators": list(found.item.operators),
    }


def _name(found: Found) -> str:
    return str(getattr(found.item, "name", "") or getattr(found.item, "text", ""))


def _title(found: Found) -> str:
    kinds = {"analysis": "own experiment", "principle": "principle"}
    title = getattr(found.item, "title", kinds.get(found.kind, ""))
    return f"{title} ({found.key}): {_name(found)}" if _name(found) else f"{title} ({found.key})"


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1))
