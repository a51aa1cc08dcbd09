"""The pool of ideas for a terminal or a program. Loaded when it is asked for."""

from __future__ import annotations

from pathlib import Path

from move37.agents.ledger import pool
from move37.app.reading import has_archive, print_json, reading
from move37.app.tables import section
from move37.app.terminal import console
from move37.app.views.ideas import pool_section
from move37.lab.archive.codec import encode
from move37.lab.records import Experiment

NONE = "no idea waits: a language model proposes several at once, and those that are not chosen stay here"


def show(home: Path, *, as_json: bool) -> None:
    """Print the ideas of the home's latest campaign that nobody has tried."""
    experiments: tuple[Experiment, ...] = ()
    if has_archive(home):
        with reading(home) as archive:
            experiments = archive.experiments(archive.campaigns()[-1].id)
    found = pool_section(experiments)
    if as_json:
        print_json([encode(idea) for idea in pool(experiments)])
    else:
        console().print(section(found) if found else NONE)
