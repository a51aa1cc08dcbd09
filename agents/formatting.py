"""A structured reply as a user would read it: one short text a role. Pure. Nothing reads these texts back."""

from __future__ import annotations

from pydantic import BaseModel

from move37.agents.replies import Code, Critique, Fix, Proposal, Proposals, Report

LONGEST_ARGUMENTS, LONGEST_ANSWER = 160, 400  # characters of a tool call that the transcript shows


def readable(reply: BaseModel) -> str:
    """What the conversation shows for `reply`; source code is counted, not printed."""
    match reply:
        case Proposals(drop=True):
            return f"I drop {', '.join(i.name for i in reply.ideas) or 'it'}: the objection stands."
        case Proposals():
            many = len(reply.ideas) > 1
            return "\n".join(f"{f'{n}. ' if many else ''}{_idea(i)}" for n, i in enumerate(reply.ideas, start=1))
        case Critique():
            ranked = "".join(f"\n{n}. {r.name}: {r.reason}" for n, r in enumerate(reply.ranking, start=1))
            return (f"Accepted. {reply.reason}" if reply.accept else f"Objection ({reply.ground}): {reply.reason}") + (
                ranked if len(reply.ranking) > 1 else ""
            )
        case Code():
            return f"{_size(reply)} {reply.notes}".strip()
        case Fix():
            learned = f" Learned: {reply.learned}" if reply.learned else ""
            return f"{'I give up. ' if reply.give_up else ''}{reply.diagnosis} {_size(reply)}{learned}"
        case Report():
            lesson = f" Lesson: {reply.lesson}" if reply.lesson else ""
            return f"Expected: {reply.expected} Seen: {reply.seen} Why: {reply.why} Next: {reply.next}{lesson}"
    return reply.model_dump_json()


def tool_call(name: str, arguments: str, answer: str) -> str:
    """One call of a tool."""
    return f"{name}({_short(arguments, LONGEST_ARGUMENTS)}) -> {_short(answer, LONGEST_ANSWER)}"


def _idea(idea: Proposal) -> str:
    cites = f" Rests on {', '.join(idea.cites)}." if idea.cites else ""
    base = f" from {idea.base}" if idea.base else ""
    return (
        f"{idea.name} ({idea.family}{base}): {idea.change} {idea.motivation}{cites} "
        f"Expect: {idea.predicted_effect} (watch {idea.probe}). Risk: {idea.risk}"
    )


def _size(reply: Code | Fix) -> str:
    if reply.edits:
        return f"({len(reply.edits)} edit{'s' * (len(reply.edits) != 1)})"
    return f"({len(reply.source.splitlines())} lines of code)"


def _short(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}... ({len(text)} characters)"
