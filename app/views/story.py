"""A campaign's night in a page: what was tried, what was learned, what waits for a user. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from move37.agents.roles import LAB, USER
from move37.app.text import counted
from move37.app.views.campaign import CampaignView
from move37.app.views.evidence import height, shown_by
from move37.app.views.leaderboard import board_of
from move37.app.views.search import claim, gate_counts, outcomes, seconds_measured
from move37.app.views.words import ENDED
from move37.lab.archive.live import StoredRequest
from move37.lab.claims import claim_lesson, unasked
from move37.lab.records import Experiment

TOLD = (LAB, USER)  # who tells whom of a request that went on by itself: see agents/approval.py
MOST = 5  # experiments that are told of in each part


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One experiment in a sentence or two."""

    id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """The story."""

    claim: str
    tried: tuple[str, ...]  # sentences
    best: tuple[Told, ...]
    learned: tuple[Told, ...]
    failed: tuple[Told, ...]
    principles: tuple[str, ...]
    waiting: tuple[str, ...]  # what a user is asked for, or could do next
    unasked: tuple[str, ...] = ()  # what the lab told users about requests that nobody answered, oldest first


def night_of(view: CampaignView, requests: Sequence[StoredRequest], *, running: bool) -> Night:
    """The campaign as it stands."""
    order = {ident: i for i, ident in enumerate(board_of(view.candidates, view.metric).order)}
    ranked = sorted(view.candidates, key=lambda e: order[e.id])
    alive = [e for e in ranked if e.status not in ENDED and e.verdict is not None]
    alive.sort(key=height, reverse=True)
    return Night(
        claim=claim(view),
        tried=tuple(_tried(view)),
        best=tuple(_told(e, shown_by(e, view.metric)) for e in alive[:MOST]),
        learned=tuple(_told(e, _learned(e, view)) for e in ranked[: 3 * MOST] if e.analysis is not None)[:MOST],
        failed=tuple(_told(e, e.reason) for e in view.candidates if e.status in ENDED)[-MOST:],
        principles=tuple(p.text for p in view.principles[: 2 * MOST]),
        waiting=tuple(_waiting(view, requests, running=running)),
        unasked=tuple(line.text for lines in view.lines.values() for line in lines if (line.source, line.to) == TOLD),
    )


def _learned(e: Experiment, view: CampaignView) -> str:
    """The analysis; what it would try next was tried where a claim was asked since."""
    assert e.analysis is not None
    if e.claim is not None:
        return f"{e.analysis.why} Since then its claim was asked. {claim_lesson(e.claim, view.metric)}"
    return f"{e.analysis.why} Next: {e.analysis.next}"


def _tried(view: CampaignView) -> list[str]:
    brief, families = view.campaign.brief, {e.family for e in view.candidates if e.family}
    counts = ", ".join(f"{n} {status}" for status, n in outcomes(view.candidates).items())
    kinds = f"{len(families)} families"
    said = [
        f"{len(view.candidates)} of {brief.budget} candidates of {'one family' if len(families) == 1 else kinds}: "
        f"{counts or 'none yet'}.",
        f"{seconds_measured(view) / 60:.0f} minutes of training and scoring, all runs together.",
    ]
    if asked := [e.claim for e in view.candidates if e.claim is not None]:
        seconds = sum(c.core_seconds for c in asked)
        said.append(f"{counted(len(asked), 'claim')} asked, {seconds / 60:.0f} core-minutes of trainings on top.")
    if refused := gate_counts(view.candidates):
        gates = ", ".join(f"{c.gate} ({c.ended} ended, {c.repaired} repaired)" for c in refused[:MOST])
        said.append(f"Gates refused: {gates}.")
    if view.tokens:
        said.append(f"{view.tokens:,} tokens, {view.cost:.2f} dollars.")
    return said


def _told(e: Experiment, text: str) -> Told:
    return Told(id=e.id, name=e.name or e.id, text=text)


def _waiting(view: CampaignView, requests: Sequence[StoredRequest], *, running: bool) -> list[str]:
    said = [f"{r.experiment} waits for your word ({r.kind})." for r in requests]
    said += [
        f"{e.id} beat its rivals on fresh seeds: `move37 confirm {e.id}` asks for the rest."
        for e in unasked(view.candidates)
    ]
    if not running and view.campaign.status != "finished":
        said.append("The campaign was stopped: it can be gone on with.")
    elif not running:
        said.append("The campaign has spent its budget: extend it, or begin another.")
    return said
