"""The text files of the cognition base: parse, validate, turn into entries (format: memory/cognition/README.md).

`parse` reads one file, `builtin_entries` all of ours; `review.py` says what a reviewer would object to.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from move37.memory.errors import InvalidPaper
from move37.memory.records import Entry
from move37.memory.schema import BUILTIN_TASK

BUILTIN = Path(__file__).parent / "cognition"
_HEADING = re.compile(r"^(#{1,2})[^\S\n]+([^\n]*)$", re.MULTILINE)
_SECTIONS = ("symptoms", "remedy", "operators", "equations", "complexity")

Area = Literal[
    "attention", "conv", "decay", "delta", "hybrid", "kernel", "linear", "memory", "norm_gate", "optim", "position",
    "probe", "residual", "routing", "scaling", "science", "search", "sparse", "ssm", "test_time", "theory", "token_mix",
]  # fmt: skip
Family = Literal["softmax", "linear", "retention", "ssd", "gla", "delta", "gated_delta", "conv", "other"]


class Insight(BaseModel):
    """One `# Insight:` of a file."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=3)
    text: str = Field(min_length=10)
    symptoms: list[str] = Field(min_length=1)
    remedy: str = Field(min_length=3)
    operators: list[str]
    equations: str = ""
    complexity: str = ""


class Paper(BaseModel):
    """One file."""

    model_config = ConfigDict(extra="forbid")
    arxiv: str = Field(pattern=r"^\d{4}\.\d{4,5}$")
    title: str = Field(min_length=5)
    year: int = Field(ge=1980, le=2100)
    area: Area
    families: list[Family] = []
    source: str = Field(min_length=5)
    task: str = BUILTIN_TASK
    mechanism: str = Field(min_length=10)
    insights: list[Insight] = Field(min_length=1)

    def entries(self, *, origin: str, key: str) -> tuple[Entry, ...]:
        """One an insight."""
        return tuple(
            Entry(
                key=key,
                number=number,
                origin=origin,
                title=self.title,
                name=insight.name,
                task=self.task,
                arxiv=self.arxiv,
                year=self.year,
                area=self.area,
                families=tuple(self.families),
                mechanism=self.mechanism,
                insight=insight.text,
                symptoms=tuple(insight.symptoms),
                remedy=insight.remedy,
                equations=insight.equations,
                complexity=insight.complexity,
                operators=tuple(insight.operators),
                source=self.source,
            )
            for number, insight in enumerate(self.insights)
        )


def is_paper(text: str) -> bool:
    """Is this Markdown one of our paper files (and not just notes)?"""
    return text.startswith("---\n") and "\narxiv:" in text.split("\n---", 1)[0] and "\n# Insight:" in text


def parse(text: str, *, name: str) -> Paper:
    """Read a file's text; `name` stands in the errors.

    Raises:
        InvalidPaper: a part is missing, unknown, or said twice.
    """
    if not text.startswith("---\n") or "\n---" not in text[4:]:
        raise InvalidPaper(f"{name}: must start with a front matter between two lines of ---.")
    front, body = text[4:].split("\n---", 1)
    raw: dict[str, object] = {}
    for line in front.splitlines():
        label, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or label.strip() in raw:
            raise InvalidPaper(f"{name}: front matter line {line!r} is no 'name: value', or repeats a name.")
        raw[label.strip()] = value.strip()
    raw["families"] = _names(str(raw.get("families", "")))
    raw["insights"] = []
    for level, heading, content in _blocks(body):
        _place(raw, level, heading, content, name)
    try:
        return Paper.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidPaper(f"{name}: {where}: {first['msg']}.") from error


def _blocks(body: str) -> list[tuple[int, str, str]]:
    """(level, heading, text under it) in order."""
    marks = list(_HEADING.finditer(body))
    ends = [mark.start() for mark in marks[1:]] + [len(body)] * bool(marks)
    spans = zip(marks, ends, strict=True)
    return [(len(mark[1]), mark[2].strip(), body[mark.end() : end].strip()) for mark, end in spans]


def _place(raw: dict[str, object], level: int, heading: str, content: str, name: str) -> None:
    insights = raw["insights"]
    assert isinstance(insights, list)
    if level == 1 and heading.lower() == "mechanism":
        raw["mechanism"] = _joined(content)
    elif level == 1 and heading.lower().startswith("insight:"):
        insights.append({"name": heading.split(":", 1)[1].strip(), "text": _joined(content)})
    elif level == 2 and heading.lower() in _SECTIONS and insights and heading.lower() not in insights[-1]:
        part = heading.lower()
        if part == "symptoms":
            insights[-1][part] = _bullets(content)
        elif part == "operators":
            insights[-1][part] = [] if content.strip().lower() == "none" else _names(content)
        else:
            insights[-1][part] = content if part == "equations" else _joined(content)
    else:
        raise InvalidPaper(f"{name}: unknown, repeated or misplaced heading {heading!r}.")


def _names(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]


def _joined(text: str) -> str:
    """Paragraphs kept, line breaks inside them undone."""
    return "\n\n".join(" ".join(block.split()) for block in re.split(r"\n\s*\n", text) if block.strip())


def _bullets(text: str) -> list[str]:
    items: list[str] = []
    for line in text.splitlines():
        if re.match(r"^\s*[-*]\s+", line):
            items.append(re.sub(r"^\s*[-*]\s+", "", line).strip())
        elif line.strip() and items:
            items[-1] += " " + line.strip()
    return items


@cache
def operators() -> frozenset[str]:
    """What a paper may map to: the grammar's operators (operators.txt, one a line, # starts a comment) and those that
    it cannot draw yet (operators_beyond.txt)."""
    text = "\n".join((BUILTIN / name).read_text() for name in ("operators.txt", "operators_beyond.txt"))
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def paper_files(folder: Path) -> list[Path]:
    """The paper files of a folder, in order; README.md is none."""
    return sorted(path for path in folder.glob("*.md") if path.name != "README.md")


def builtin_entries() -> tuple[Entry, ...]:
    """Every insight of the built-in base; the key is the file's stem.

    Raises:
        InvalidPaper: a file is broken.
    """
    return tuple(
        entry
        for path in paper_files(BUILTIN)
        for entry in parse(path.read_text(encoding="utf-8"), name=path.name).entries(origin="builtin", key=path.stem)
    )


def arxiv_year(arxiv: str) -> int:
    """The year in which an id was given."""
    century = 2000 if int(arxiv[:2]) < 90 else 1900
    return century + int(arxiv[:2])
