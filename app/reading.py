"""What reading commands share: the archive opened for reading, the campaign and the experiment that a user meant."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

from move37.app.exits import BadInput
from move37.app.ids import written_out
from move37.app.text import harmless
from move37.lab.archive.lock import HomeLock
from move37.lab.archive.store import FILE, Archive, Campaign
from move37.lab.errors import LabError, UnknownExperiment
from move37.lab.records import Experiment, Role


@contextmanager
def reading(home: Path) -> Iterator[Archive]:
    """The archive of `home`, read-only. Raises the archive's own errors."""
    archive = Archive.open(home, readonly=True)
    try:
        yield archive
    finally:
        archive.close()


def has_archive(home: Path) -> bool:
    """Whether any campaign has ever run in `home`."""
    return (home / FILE).is_file()


def pick_campaign(archive: Archive, number: int | None = None) -> Campaign:
    """Campaign `number`, or the latest one. Raises `BadInput` when there is none."""
    if number is not None:
        return archive.campaign(number)
    campaigns = archive.campaigns()
    if not campaigns:
        raise BadInput("no campaign has begun here yet: start one with `move37 run`")
    return campaigns[-1]


def as_it_stands(home: Path, campaign: Campaign) -> Campaign:
    """The campaign with the status that it has: one that was killed still says that it runs, but holds no lock."""
    killed = campaign.status == "running" and not HomeLock.is_held(home)
    return replace(campaign, status="stopped") if killed else campaign


def pick_experiment(archive: Archive, ident: str) -> Experiment:
    """The experiment that was meant: by its id, however it is written ("C1-3", "1-003"); in the latest campaign also by
    its number ("3"), a baseline also by its name or what follows the dash in its id.

    Raises `UnknownExperiment`, which names the nearest.
    """
    campaigns = archive.campaigns()
    latest = archive.experiments(campaigns[-1].id) if campaigns else ()
    return meant(ident, latest, archive.experiments())


def meant(ident: str, here: Sequence[Experiment], everybody: Sequence[Experiment]) -> Experiment:
    """The same among records: numbers and names are those of `here`, ids of `everybody`. Pure."""
    asked = ident.strip().lower()
    for experiment in here:
        by_number = experiment.role is Role.CANDIDATE and _number(asked) == experiment.number
        by_name = experiment.role is Role.BASELINE and asked in (experiment.name, experiment.id.partition("-")[2])
        if by_number or by_name:
            return experiment
    known = {e.id: e for e in everybody}
    written = written_out(asked if asked.startswith("c") or asked.isdecimal() else f"c{asked}")
    if written in known:
        return known[written]
    names = {e.name: e.id for e in known.values()} | {ident.partition("-")[2]: ident for ident in known}
    near = get_close_matches(written, known, n=3) or [
        names[n] for n in get_close_matches(asked.partition("-")[2] or asked, names, n=3)
    ]
    meant = f"did you mean {', '.join(dict.fromkeys(near))}? All: `move37 list`" if near else "see `move37 list`"
    raise UnknownExperiment(f"no experiment {ident!r} here: {meant}")


def _number(word: str) -> int | None:
    # Python reads no number of 5,000 digits, and no campaign has one.
    return int(word) if word.isdecimal() and len(word) < 10 else None


def completions(context: typer.Context, incomplete: str) -> list[str]:
    """The ids of the latest campaign that begin with `incomplete`; none where nothing can be read."""
    from move37.app.settings import load  # the command line is not run while the shell completes it

    root = context.find_root().params.get("home")
    try:
        with reading(load({"home": root}).home) as archive:
            found = [e.id for c in archive.campaigns()[-1:] for e in archive.experiments(c.id)]
    except (LabError, ValueError, OSError):
        return []
    return [ident for ident in found if ident.startswith(incomplete)]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys, the first one naming the columns; empty without rows. A text that a spreadsheet would
    take for a formula, such as a name that a model gave, begins with an apostrophe.
    """
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _no_formula(value) for key, value in row.items()} for row in rows)
    return out.getvalue()


def _no_formula(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = harmless(value)  # a carriage return, which the writer leaves bare, would end the row
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    """`as_csv` on stdout."""
    sys.stdout.write(as_csv(rows))


def print_json(value: Any) -> None:
    """The only thing that a command with --json writes to stdout."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    json.dump(value, sys.stdout, ensure_ascii=plain, indent=2, allow_nan=False)
    sys.stdout.write("\n")
