"""What was said, ready to be drawn: who speaks to whom, and what stays folded. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from move37.app.units import spell_clock
from move37.app.views.campaign import CampaignView
from move37.lab.archive.message import TOOLS, Message

LONG = 1_200  # characters above which a text is folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One thing that was said."""

    source: str
    to: str
    time: str  # hh:mm:ss UTC
    text: str
    user: bool
    experiment: str
    summary: str = ""  # what stands there while it is folded; empty: it is not


def in_order(view: CampaignView) -> tuple[Message, ...]:
    """All that was said in a campaign, oldest first."""
    return tuple(sorted((line for lines in view.lines.values() for line in lines), key=lambda line: line.at))


def utterances(lines: Iterable[Message]) -> list[Utterance]:
    """Tool calls and very long texts are folded under their first line."""
    return [
        Utterance(
            source=line.source,
            to=line.to,
            time=spell_clock(line.at),
            text=line.text,
            user=line.user,
            experiment=line.experiment or "",
            summary=_summary(line),
        )
        for line in lines
    ]


def _summary(line: Message) -> str:
    if line.to != TOOLS and len(line.text) <= LONG:
        return ""
    first = next((part for part in line.text.splitlines() if part.strip()), "")
    return first if len(first) <= 120 else f"{first[:119]}…"
