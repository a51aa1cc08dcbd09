"""Every command of the pages is typed by a test, or stands in a table with the reason why not; and none besides."""

from __future__ import annotations

from tests.guides import test_stories
from tests.guides.pages import BARE, typed
from tests.guides.table import BEGINS, ELSEWHERE, LOOKS, TOLD, WORKS

RUN = {row.line for row in (*LOOKS, *WORKS, *BEGINS)} | {line for lines in TOLD.values() for line in lines}


def beginnings(line: str) -> bool:
    """Whether a test begins with these words: a sentence's `move37 tidy` names a command and not all of a line."""
    return any(known == line or known.startswith(f"{line} ") for known in (*RUN, *ELSEWHERE))


def test_every_command_of_the_pages_is_typed_or_accounted_for() -> None:
    known = RUN | ELSEWHERE.keys()
    found = {line: page for line, page in typed().items() if line not in known and not line.startswith("while ! ")}
    assert not {line: page for line, page in found.items() if not (BARE.fullmatch(line) and beginnings(line))}


def test_nothing_is_typed_that_no_page_shows() -> None:
    shown = typed()
    assert not [line for line in RUN | ELSEWHERE.keys() if not any(text.startswith(line) for text in shown)]


def test_no_command_is_both_run_and_not() -> None:
    assert not RUN & ELSEWHERE.keys()
    assert all(reason for reason in ELSEWHERE.values())


def test_every_story_is_told() -> None:
    assert all(callable(getattr(test_stories, name)) for name in TOLD)
