"""Who speaks next: pure functions from what was answered in a stage to a name, or None when the stage is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import BaseModel

from move37.agents.replies import Critique, Proposal

NextSpeaker = Callable[[Sequence[BaseModel]], str | None]


def negotiation(max_rounds: int) -> NextSpeaker:
    """Researcher and Critic in turn until the Critic accepts, the Researcher drops, or `max_rounds` objections stood.

    A round is one objection that the Researcher may answer; with `max_rounds` 0 the first objection is final.
    """

    def next_speaker(replies: Sequence[BaseModel]) -> str | None:
        if not replies:
            return "Researcher"
        last = replies[-1]
        if isinstance(last, Proposal):
            return None if last.drop else "Critic"
        objections = sum(isinstance(r, Critique) and not r.accept for r in replies)
        if isinstance(last, Critique) and (last.accept or objections > max_rounds):
            return None
        return "Researcher"

    return next_speaker


def single(name: str) -> NextSpeaker:
    """One answer of `name`, and the stage is over."""

    def next_speaker(replies: Sequence[BaseModel]) -> str | None:
        return None if replies else name

    return next_speaker


def settled(replies: Sequence[BaseModel]) -> tuple[Proposal, bool, str]:
    """How a negotiation ended: the last proposal, whether it was accepted, and the reason if it was not.

    Raises `ValueError` when nothing was proposed.
    """
    proposals = [r for r in replies if isinstance(r, Proposal)]
    if not proposals:
        raise ValueError("a negotiation without a proposal")
    critiques = [r for r in replies if isinstance(r, Critique)]
    last = proposals[-1]
    objection = f"{critiques[-1].ground}: {critiques[-1].reason}" if critiques else ""
    if last.drop:
        return last, False, f"dropped by the Researcher ({objection or 'no objection'})"
    if critiques and critiques[-1].accept:
        return last, True, ""
    return last, False, f"the Critic's objection stood ({objection})"
