"""What a campaign does at this moment: who is at work, with the newest curve, and what people asked for. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from move37.app.units import spell_seconds
from move37.app.views.campaign import CampaignView
from move37.app.views.curves import CurveLine, lines
from move37.app.views.leaderboard import board_of
from move37.lab.archive.controls import Control, ControlKind
from move37.lab.archive.live import Curve, StoredRequest, notices_of
from move37.lab.numbers import DigitScale
from move37.lab.records import Role

TOLD = 8  # lines of what was told and asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """An experiment that something happens to."""

    id: str
    name: str
    doing: str  # stage, and whose turn it is or how far the training is
    path: str  # of an SVG in a box of 100 by 30, or ""


def at_work(
    view: CampaignView, state: Mapping[str, Any], curves: Sequence[Curve], waiting: Collection[str] = ()
) -> list[AtWork]:
    """What is being worked on, as the campaign last reported; not what waits for the user's answer."""
    names = {e.id: e.name for e in view.experiments}
    found = []
    for ident, facts in dict(state.get("active") or {}).items():
        if ident in waiting:
            continue
        stage, speaking = str(facts.get("stage", "")), str(facts.get("speaking", ""))
        runs = [line for line in lines(curves, {ident}) if len(line.steps) > 1]
        training = "@" in stage and runs
        newest = max(runs, key=lambda line: line.fresh) if training else None
        doing = stage + (f", {speaking} speaks next" if speaking and not training else "")
        if newest is not None:
            loss = DigitScale.of([newest.losses[-1]]).text(newest.losses[-1])
            doing += f", step {newest.steps[-1]}, loss {loss}"
        found.append(AtWork(id=ident, name=names.get(ident, ""), doing=doing, path=spark_path(newest)))
    return found


def spark_path(line: CurveLine | None) -> str:
    """A curve as an SVG path, its lowest loss at the bottom."""
    if line is None:
        return ""
    low, high = min(line.losses), max(line.losses)
    span, last = (high - low) or 1.0, len(line.losses) - 1
    points = [f"{100 * i / last:.1f},{28 - 26 * (loss - low) / span:.1f}" for i, loss in enumerate(line.losses)]
    return "M" + " L".join(points)


def leaders(view: CampaignView) -> list[tuple[str, str, str, str]]:
    """The best candidate and the best baseline in the strongest group of screens that holds both: role, name, value,
    what the group shares.
    """
    for group in board_of(view.experiments, view.metric).groups:
        best = {p.experiment.role: p for p in reversed(group.places) if not p.summary.diverged}
        if not group.terms.fresh and len(best) == len(Role):
            ordered = [best[role] for role in (Role.CANDIDATE, Role.BASELINE)]
            return [
                (p.experiment.role.value, p.experiment.name, group.scale.text(p.summary.mean), group.heading)
                for p in ordered
            ]
    return []


def deadline(request: StoredRequest, at: datetime, *, paused: bool) -> str:
    """When a request goes on by itself, seen from `at`; empty where it waits for ever."""
    if request.until is None:
        return ""
    if paused:
        return "The campaign is paused: this waits."
    left = (datetime.fromisoformat(request.until) - at).total_seconds()
    if left <= 0:
        return "It goes on."
    return f"Without an answer it goes on in {spell_seconds(left if left < 60 else 60 * math.ceil(left / 60))}."


def told(state: Mapping[str, Any], controls: Sequence[Control]) -> list[str]:
    """The newest notices and orders with their answers, newest first; what is told again stands once."""
    asked = [
        (c.at, f"{c.user}: /{c.kind.value} {c.experiment or ''} {c.text[:80]} → {c.answer or 'passed on'}")
        for c in controls
        if c.kind is not ControlKind.SAY
    ]
    noticed = [(n.at, n.text) for n in notices_of(state)]
    ordered = sorted([*noticed, *asked], key=lambda pair: pair[0])[::-1]
    return list(dict.fromkeys(text for _, text in ordered))[: 2 * TOLD]
