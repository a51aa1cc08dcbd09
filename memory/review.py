"""What a reviewer would object to in a paper's file: lengths, phrasing, unknown operators, sources.

Whether an arXiv id and a title belong together cannot be seen here: `source` names where they were seen, and a person
checks it.
"""

from __future__ import annotations

import re
from pathlib import Path

from move37.memory import bm25
from move37.memory.errors import MemoryFault
from move37.memory.papers import Paper, arxiv_year, operators, paper_files, parse

_PATHS = re.compile(r"(?:^|\s)/(?:home|root|tmp|work|opt|Users|mnt)/\S")
_OPENABLE = re.compile(r"^(?:https?://[\w.-]+/\S+|[\w.-]+/[\w.-]+:[\w./-]+)$")


def problems(paper: Paper, *, stem: str) -> tuple[str, ...]:
    """What a reviewer would object to; empty when nothing."""
    out = [] if stem == paper.arxiv else [f"the file is called {stem}, the paper {paper.arxiv}"]
    if paper.year != arxiv_year(paper.arxiv):
        out.append(f"year {paper.year} does not fit arXiv id {paper.arxiv}")
    out += _length(paper.mechanism, "mechanism", 8, 90)
    for insight in paper.insights:
        at = f"insight {insight.name!r}"
        out += _length(insight.name, f"{at}: name", 2, 12)
        out += _length(insight.text, at, 20, 150) + _length(insight.remedy, f"{at}: remedy", 6, 90)
        if len(insight.symptoms) < 2:
            out.append(f"{at}: needs at least two symptoms")
        for number, symptom in enumerate(insight.symptoms, 1):
            out += _length(symptom, f"{at}: symptom {number}", 6, 45)
            if _alike(symptom, insight.text) > 0.6:
                out.append(f"{at}: symptom {number} repeats the insight instead of saying what is seen")
        unknown = sorted(set(insight.operators) - operators())
        if unknown:
            out.append(f"{at}: unknown operators {', '.join(unknown)}")
    if not _OPENABLE.match(paper.source):
        out.append(f"source {paper.source!r} is nothing that a reader can open: give a URL or owner/repository:path")
    whole = paper.model_dump_json()
    if _PATHS.search(whole):
        out.append("names a path of somebody's machine")
    return tuple(out)


def check_folder(folder: Path) -> dict[str, tuple[str, ...]]:
    """File name -> problems, for every paper file of a folder that has some; duplicates across files included."""
    out: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    for path in paper_files(folder):
        try:
            paper = parse(path.read_text(encoding="utf-8"), name=path.name)
        except (MemoryFault, UnicodeDecodeError) as error:
            out[path.name] = (str(error),)
            continue
        found = list(problems(paper, stem=path.stem))
        for insight in paper.insights:
            first = names.setdefault(insight.name.lower(), path.name)
            if first != path.name or [i.name.lower() for i in paper.insights].count(insight.name.lower()) > 1:
                found.append(f"insight name {insight.name!r} is also in {first}")
        if found:
            out[path.name] = tuple(found)
    return out


def _length(text: str, what: str, low: int, high: int) -> list[str]:
    count = len(text.split())
    return [] if low <= count <= high else [f"{what} has {count} words, not {low} to {high}"]


def _alike(first: str, second: str) -> float:
    """The share of the first text's words that stand in the second."""
    mine = set(bm25.words(first))
    return len(mine & set(bm25.words(second))) / len(mine) if mine else 0.0
