"""What may still be spent: a pure decision over a small record, and the tally that model calls write into."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits of a brief; None: no limit."""

    seconds: float | None = None  # wall clock of the campaign, over all its sittings
    tokens: int | None = None
    cost: float | None = None  # US dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class Expenses:
    """What the campaign has used so far."""

    seconds: float = 0.0
    tokens: int = 0
    cost: float = 0.0


def exhausted(budget: Budget, spent: Expenses) -> str:
    """Which limit is reached, as a sentence for the person; empty when none is."""
    if budget.seconds is not None and spent.seconds >= budget.seconds:
        return f"the time limit of {budget.seconds:.0f} s is reached"
    if budget.tokens is not None and spent.tokens >= budget.tokens:
        return f"the limit of {budget.tokens} tokens is reached"
    if budget.cost is not None and spent.cost >= budget.cost:
        return f"the limit of {budget.cost:.2f} dollars is reached"
    return ""


class CampaignUsage:
    """Tokens and dollars of one campaign; starts from what the archive already holds."""

    def __init__(self, tokens: int = 0, cost: float = 0.0) -> None:
        self.tokens = tokens
        self.cost = cost
        self.tool_calls = 0  # of this session

    def add(self, tokens: int, cost: float) -> None:
        """One model call more."""
        self.tokens += tokens
        self.cost += cost
