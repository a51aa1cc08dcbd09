"""What language models took: calls, tokens, cache hits, dollars, by role. `ModelCall`s -> a section. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from move37.app.views.shapes import Cell, Column, Section, Table
from move37.lab.archive.message import TOOLS, Message
from move37.lab.archive.store import ModelCall

NOTE = (
    "Cached: the share of prompt tokens that the provider had kept, where it says so; “–” where it never does. "
    "Waited: seconds before the calls, for a turn at the server or while it was away."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleUsage:
    """One role's calls."""

    role: str
    models: tuple[str, ...]
    calls: int
    invalid: int  # replies that were asked for again
    prompt: float  # tokens of a prompt, median over calls
    prompts: int  # tokens, all together
    replies: int  # tokens, all together
    cached: float | None  # share of the prompt tokens; None: no provider said anything
    hits: float | None  # share of calls with any; likewise
    seconds: float  # that models worked
    waited: float  # seconds, for a turn at a server and while it was away
    cost: float  # US dollars
    tool_calls: int = 0  # tools that it called, those that do not exist among them


def usage_by_role(calls: Sequence[ModelCall], lines: Iterable[Message] = ()) -> tuple[RoleUsage, ...]:
    """In the order in which the roles first spoke. A call's tokens are those of all its replies, invalid ones too.

    `lines`: what was said; each call of a tool is one of them.
    """
    by_role: dict[str, list[ModelCall]] = {}
    for call in calls:
        by_role.setdefault(call.role, []).append(call)
    asked = Counter(said.source for said in lines if said.to == TOOLS)
    return tuple(_usage(role, found, asked) for role, found in by_role.items())


def _usage(role: str, found: Sequence[ModelCall], asked: Mapping[str, int]) -> RoleUsage:
    prompts, cached = sum(c.prompt_tokens for c in found), sum(c.cached_tokens for c in found)
    return RoleUsage(
        role=role,
        models=tuple(dict.fromkeys(c.model for c in found)),
        calls=len(found),
        invalid=sum(c.attempts - 1 for c in found),
        prompt=statistics.median(c.prompt_tokens / c.attempts for c in found),
        prompts=prompts,
        replies=sum(c.completion_tokens for c in found),
        cached=cached / prompts if cached and prompts else None,
        hits=sum(c.cached_tokens > 0 for c in found) / len(found) if cached else None,
        seconds=sum(c.seconds for c in found),
        waited=sum(c.waited for c in found),
        cost=sum(c.cost for c in found),
        tool_calls=asked.get(role, 0),
    )


def spending_section(calls: Sequence[ModelCall], lines: Iterable[Message] = ()) -> Section:
    """One row a role, and all of them together; empty where no language model was asked. `lines`: what was said."""
    names = ("calls", "tool calls", "asked again", "tokens a prompt", "prompt tokens", "cached", "calls with a hit")
    spent = ("reply tokens", "seconds", "waited", "dollars")
    columns = (Column("role"), *(Column(n, True) for n in (*names, *spent)), Column("model"))
    rows = list(usage_by_role(calls, lines))
    if len(rows) > 1:
        rows.append(_usage("all", calls, {"all": sum(r.tool_calls for r in rows)}))
    return Section(
        title="What language models took",
        table=Table(columns=columns, rows=tuple(_row(r) for r in rows), stacks=True),
        text=NOTE if rows else "",
    )


def _row(usage: RoleUsage) -> tuple[Cell, ...]:
    numbers = (
        f"{usage.calls}",
        f"{usage.tool_calls}" if usage.tool_calls else "–",
        f"{usage.invalid}" if usage.invalid else "–",
        f"{usage.prompt:,.0f}",
        f"{usage.prompts:,}",
        _share(usage.cached),
        _share(usage.hits),
        f"{usage.replies:,}",
        f"{usage.seconds:,.0f}",
        f"{usage.waited:,.0f}" if usage.waited >= 0.5 else "–",
        f"{usage.cost:.4f}" if usage.cost else "–",
    )
    who = ", ".join(usage.models)
    return (Cell(usage.role), *(Cell(text) for text in numbers), Cell(who, "quiet"))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
