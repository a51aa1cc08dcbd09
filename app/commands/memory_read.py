"""`move37 memory search`, `show` and `stats`: they work while a campaign writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from move37.app.commands.memory_common import JsonFlag, opened, print_json, progress_bar
from move37.app.exits import BadInput
from move37.app.text import harmless
from move37.memory.decoding import decoded
from move37.memory.errors import Unreadable

if TYPE_CHECKING:
    from move37.memory.found import Found


def register(group: typer.Typer) -> None:
    """Add the commands."""
    group.command("search", help=_SEARCH)(search)
    group.command("show", help=_SHOW)(show)
    group.command("stats", help=_STATS)(stats)


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
    limit: Annotated[int, typer.Option(help="Hits for each query.", metavar="N", min=1, max=100)] = 6,
    as_json: JsonFlag = False,
) -> None:
    """Hybrid search over both collections."""

    if (text is None) == (file is None):
        raise BadInput("give either TEXT or --file QUERIES.jsonl")
    if text is not None and not text.strip():
        raise BadInput("the text is empty: describe what you observe")
    queries = [("text", text)] if text is not None else list(_queries(file))  # type: ignore[arg-type]
    with opened(context, read_only=True) as memory:
        index = memory.index()
        if not any(index.store.count(name) for name in ("cognition", "analyses")):
            typer.echo("the memory is empty: `move37 memory add --builtin` brings in the built-in papers", err=True)
        answers = []
        with progress_bar("searching", quiet=len(queries) < 20) as progress:
            for number, (name, query) in enumerate(queries, 1):
                answers.append((name, query, index.search(query, limit=limit)))
                progress(number, len(queries))
    if as_json:
        print_json(
            [{"id": name, "text": query, "hits": [_hit(item) for item in hits]} for name, query, hits in answers]
        )
        return
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
    from move37.memory.records_to_vectors import DIRECTION
    from move37.memory.render import stored

    with opened(context, read_only=True) as memory:
        found = memory.index().get(item)
    if as_json:
        shown = [{name: part for name, part in one.payload.items() if name != DIRECTION} for one in found]
        print_json([{"id": one.id, "kind": one.kind, **part} for one, part in zip(found, shown, strict=True)])
        return
    for one in found:
        typer.echo(harmless(f"{one.id}  {one.kind}"))
        typer.echo(harmless(stored(one.item)))


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

        with opened(context, read_only=True) as memory:
            counts |= count(memory)
    if as_json:
        print_json(counts)
        return
    cognition, analyses = counts["cognition"], counts["analyses"]
    typer.echo(f"memory      {where}")
    typer.echo(f"cognition   {cognition.get('insights', 0)} insights of {cognition.get('papers', 0)} papers")
    by_status = ", ".join(f"{number} {status}" for status, number in analyses.get("status", {}).items())
    typer.echo(f"analyses    {analyses.get('experiments', 0)} experiments{f' ({by_status})' if by_status else ''}")
    typer.echo(f"principles  {counts.get('principles', 0)}")
    imports = f", {counts['imports']} parts of an import" if counts.get("imports") else ""
    typer.echo(f"waiting     {counts['queued']} lessons{imports}")
    if counts.get("set_aside"):
        typer.echo(
            f"set aside   {counts['set_aside']} parts of an import, damaged or of another model: import them again"
        )
    if "disk_bytes" in counts:
        on_disk, in_name = counts["disk_bytes"] >> 20, counts["apparent_bytes"] >> 20
        typer.echo(f"on disk     {on_disk} MiB ({in_name} MiB in name: copy them with rsync --sparse)")


def _queries(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a query file, numbered where they have no id."""

    try:
        lines = decoded(path).split("\n")  # JSON may hold other line ends
    except (OSError, Unreadable) as error:
        raise BadInput(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}): name another") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            text = item["text"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
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
        "says": _first(found, "insight", "lesson", "seen", "text"),
        "remedy": _first(found, "remedy", "next"),
        "source": _first(found, "source"),
    }


def _first(found: Found, *fields: str) -> str:
    """The first of these fields that an item of its kind has and that says something."""
    return next((text for f in fields if (text := str(getattr(found.item, f, "") or ""))), "")


def _name(found: Found) -> str:
    return str(getattr(found.item, "name", "") or getattr(found.item, "text", ""))


def _title(found: Found) -> str:
    kinds = {"analysis": "own experiment", "principle": "principle"}
    title = getattr(found.item, "title", kinds.get(found.kind, ""))
    return f"{title} ({found.key}): {_name(found)}" if _name(found) else f"{title} ({found.key})"
