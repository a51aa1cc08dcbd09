"""The limits that a user types after /budget ("24 time 8h tokens 2m cost 5"), read and spelled. Pure."""

from __future__ import annotations

from move37.agents.budget import BudgetChange
from move37.app.text import counted
from move37.app.units import count, dollars, duration, spell_count, spell_seconds

FORM = "/budget 24, /budget time 8h, /budget 24 time 8h tokens 2m cost 5"
MOST = 1_000_000  # candidates; more is a slip of the hand
NAMES = ("candidates", "time", "tokens", "cost")


def change_of(text: str) -> BudgetChange:
    """What is to change. Raises `ValueError` with a sentence that shows the form."""
    words = text.split()
    if words and words[0].lower() not in NAMES:
        words.insert(0, "candidates")
    if not words or len(words) % 2:
        raise ValueError(f"say which limit: {FORM}")
    given = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}
    if unknown := [name for name in given if name not in NAMES]:
        raise ValueError(f"{unknown[0][:30]} is no limit: {FORM}")
    change = BudgetChange(
        candidates=_whole(given["candidates"]) if "candidates" in given else None,
        seconds=duration(given["time"]) if "time" in given else None,
        tokens=count(given["tokens"]) if "tokens" in given else None,
        cost=dollars(given["cost"]) if "cost" in given else None,
    )
    if any(value is not None and value <= 0 for value in (change.seconds, change.tokens, change.cost)):
        raise ValueError("a limit of nothing cannot be kept: name more, or /stop")
    return change


def _whole(text: str) -> int:
    value = count(text)
    if not 1 <= value <= MOST:
        raise ValueError(f"name from 1 to {MOST:,} candidates")
    return value


def spelled(change: BudgetChange) -> str:
    """The new limits in words."""
    parts = []
    if change.candidates is not None:
        parts.append(counted(change.candidates, "candidate"))
    if change.seconds is not None:
        parts.append(spell_seconds(change.seconds))
    if change.tokens is not None:
        parts.append(f"{spell_count(change.tokens)} tokens")
    if change.cost is not None:
        parts.append(f"{change.cost:.2f} dollars")
    return ", ".join(parts)
