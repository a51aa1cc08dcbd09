"""What the pages tell a reader to type: commands in blocks, and those that a sentence names with their arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "docs" / "sandbox").glob("*.md"))
PROGRAMS = "move37 make bash sh while pip pytest python docker docker-compose jq mlflow ssh git curl export usermod"
FENCE = re.compile(r"\s*```(\w*)")
STARTS = re.compile(rf"\$? ?(?:[A-Z_0-9]+=\S+ )*(?:{'|'.join(PROGRAMS.split())}) (?!=)")
INLINE = re.compile(rf"`((?:[A-Z_0-9]+=\S+ )*(?:{'|'.join(PROGRAMS.split())}) (?!FILE|-c)[^`]+)`")
BARE = re.compile(r"move37 \w+")  # in a sentence, the name of a command


@cache
def typed() -> dict[str, str]:
    """Command -> the first page that shows it."""
    found: dict[str, str] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for command in (*_in_blocks(text), *INLINE.findall(text)):
            found.setdefault(" ".join(command.split()), str(page.relative_to(ROOT)))
    return found


def _in_blocks(text: str) -> Iterator[str]:
    """Of fenced shell and of indented blocks, a command that goes over several lines as one, comments taken off."""
    fenced, open_command = None, ""
    for line in text.splitlines():
        if fence := FENCE.match(line):
            fenced = fence[1] if fenced is None else None
            continue
        if not (fenced in ("sh", "bash", "shell", "console") or (fenced is None and line.startswith("    "))):
            continue
        if not open_command and not STARTS.match(f"{line.strip()} "):
            continue
        open_command += " " + line.strip().removeprefix("$ ").partition("  #")[0].partition(" # ")[0].strip()
        if open_command.endswith("\\"):
            open_command = open_command.removesuffix("\\")
        elif not open_command.startswith(" while") or re.search(r"\bdone\b", open_command):
            yield open_command
            open_command = ""
