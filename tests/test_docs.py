"""What the guides and README tell a user to type is what the command takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from typer.main import get_command

from move37.app.cli import build

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = re.compile(r"[|;&]|<<")  # what follows belongs to the shell


def commands() -> Iterator[tuple[str, str]]:
    """(page, line) of every line that a page shows as a command of ours."""
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            found = re.match(r"^(?:    |\$ |)\s*(?:[A-Z_0-9]+=\S+ )*(move37 .*)$", line)
            if found and not line.lstrip().startswith(("move37:", "move37 is", "move37 has")):
                yield page.name, found[1].partition("  #")[0].partition("   ")[0].strip()


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_every_command_that_a_page_shows_is_one(page: str, line: str) -> None:
    words = shlex.split(SHELL.split(line)[0])[1:]
    command: click.Command = get_command(build())
    context = command.make_context("move37", list(words), resilient_parsing=True)
    rest = [*context.protected_args, *context.args] if hasattr(context, "protected_args") else list(context.args)
    while isinstance(command, click.Group) and rest:
        found = command.commands.get(rest[0])
        assert found is not None, f"{page}: there is no command {rest[0]!r}"
        command, arguments = found, rest[1:]
        if isinstance(command, click.Group):
            rest = arguments
            continue
        command.make_context(rest[0], arguments)  # raises where an option or an argument is not known
        return


def test_every_page_is_in_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    missing = [page.name for page in PAGES[1:] if page.name not in nav]
    assert not missing


def test_every_page_of_the_site_is_there() -> None:
    nav = re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert all((ROOT / "docs" / page).is_file() for page in nav)


def test_the_index_of_decisions_names_each() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in folder.glob("[0-9]*.md") if f"]({page.name})" not in index]
