"""A structured reply as a person would read it: one short text a role. Pure."""

from __future__ import annotations

from pydantic import BaseModel

from move37.agents.replies import Code, Critique, Fix, Proposal, Report


def readable(reply: BaseModel) -> str:
    """What the conversation shows for `reply`; source code is counted, not printed."""
    match reply:
        case Proposal(drop=True):
            return f"I drop {reply.name}: the objection stands."
        case Proposal():
            cites = f" Rests on {', '.join(reply.cites)}." if reply.cites else ""
            return (
                f"{reply.name} ({reply.family}): {reply.change} {reply.motivation}{cites} "
                f"Expect: {reply.predicted_effect} (watch {reply.probe}). Risk: {reply.risk}"
            )
        case Critique():
            return f"Accepted. {reply.reason}" if reply.accept else f"Objection ({reply.ground}): {reply.reason}"
        case Code():
            return f"{_lines(reply.source)} {reply.notes}".strip()
        case Fix():
            return f"{'I give up. ' if reply.give_up else ''}{reply.diagnosis} {_lines(reply.source)}"
        case Report():
            return f"Expected: {reply.expected} Seen: {reply.seen} Why: {reply.why} Next: {reply.next}"
    return reply.model_dump_json()


def _lines(source: str) -> str:
    return f"({len(source.splitlines())} lines of code)"
