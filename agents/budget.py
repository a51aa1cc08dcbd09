"""What may still be spent: pure decisions over small records, and the counter that model calls add to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from move37.lab.records import Brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits of a brief; None: no limit."""

    seconds: float | None = None  # wall clock of the campaign, over all its sessions
    tokens: int | None = None
    cost: float | None = None  # US dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class Expenses:
    """What the campaign has used so far."""

    seconds: float = 0.0
    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetChange:
    """New limits that the user sets while the campaign runs, over all its sessions; None: as it was."""

    candidates: int | None = None
    seconds: float | None = None  # wall clock
    tokens: int | None = None
    cost: float | None = None  # US dollars


def budget_of(brief: Brief) -> Budget:
    """The limits of a brief but for the number of candidates."""
    return Budget(seconds=brief.max_seconds, tokens=brief.max_tokens, cost=brief.max_cost)


def changed(brief: Brief, change: BudgetChange) -> Brief:
    """The brief with the new limits."""
    wanted = {
        "budget": change.candidates,
        "max_seconds": change.seconds,
        "max_tokens": change.tokens,
        "max_cost": change.cost,
    }
    return replace(brief, **{name: value for name, value in wanted.items() if value is not None})  # type: ignore[arg-type]


def refused(change: BudgetChange, begun: int, spent: Expenses) -> str:
    """Why a change is refused: the new limit is used up already. Empty: it is not. `begun`: candidates so far."""
    if change.candidates is not None and change.candidates < begun:
        return f"{begun} candidates have begun, and the budget counts all of them: name at least {begun}"
    if change.seconds is not None and change.seconds <= spent.seconds:
        return f"{spent.seconds:.0f} s are used, all sessions together: name more"
    if change.tokens is not None and change.tokens <= spent.tokens:
        return f"{spent.tokens} tokens are used, all sessions together: name more"
    if change.cost is not None and change.cost <= spent.cost:
        return f"{spent.cost:.2f} dollars are used, all sessions together: name more"
    return ""


def exhausted(budget: Budget, spent: Expenses) -> str:
    """Which limit is reached, as a sentence for the user; empty when none is."""
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

    def add(self, tokens: int, cost: float) -> None:
        """Add one model call."""
        self.tokens += tokens
        self.cost += cost
