"""What a reader must know was not there: files that a corpus leaves out, locks that this system does not have. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from move37.app.text import counted
from move37.lab.archive.store import Campaign
from move37.lab.records import Experiment

NAMED = 3  # files that are named


def left_out_text(left_out: Sequence[str]) -> str:
    """Files of the user's own corpus that were not read, each with its reason; empty where there are none."""
    if not left_out:
        return ""
    more = f"; and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    return f"{counted(len(left_out), 'file')} of the corpus left out: {'; '.join(left_out[:NAMED])}{more}."


def locks_text(count: int) -> str:
    """That gates and training ran with fewer locks than they are meant to have; empty where none was missing."""
    if not count:
        return ""
    return (
        f"{counted(count, 'lock')} missing on this system (Landlock, seccomp): the candidate's process could have "
        "touched what it reports, see `move37 doctor`."
    )


def locks_missing(experiment: Experiment) -> int:
    """How many locks were missing when the experiment met its gates."""
    for record in experiment.stages:
        facts: Any = record.payload.get("facts")
        if record.stage == "gates" and isinstance(facts, Mapping):
            return int(facts.get("locks_missing") or 0)
    return 0


def missing_notes(campaign: Campaign, experiments: Sequence[Experiment]) -> tuple[str, ...]:
    """What was missing in a campaign, one sentence each: printed with the notes under its tables."""
    lacking = [e.id for e in experiments if locks_missing(e)]
    most = max((locks_missing(e) for e in experiments), default=0)
    locks = f"Of {counted(len(lacking), 'experiment')}: {locks_text(most)}" if lacking else ""
    files = left_out_text([str(f) for f in campaign.facts.get("corpus_left_out") or ()])
    return tuple(text for text in (files, locks) if text)
