"""The limits that a user types after /budget ("24 time 8h tokens 2m cost 5"), read and spelled. Pure."""

from __future__ import annotations

from move37.agents.budget import BudgetChange
from move37.app.text import counted
from move37.app.units import MOST, count, dollars, duration, spell_count, spell_seconds

FORM = "/budget 24, /budget time 8h, /budget 24 time 8h tokens 2m cost 5"
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
        candidates=count(given["candidates"]) if "candidates" in given else None,
        seconds=duration(given["time"]) if "time" in given else None,
        tokens=count(given["tokens"]) if "tokens" in given else None,
        cost=dollars(given["cost"]) if "cost" in given else None,
    )
    for name, most in MOST.items():
        value = getattr(change, name)
        if value is not None and value <= 0:
            raise ValueError("a limit of nothing cannot be kept: name more, or /stop")
        if value is not None and value > most:
            at_most = BudgetChange(**{name: most})  # type: ignore[arg-type]
            raise ValueError(f"that is beyond reason: name at most {spelled(at_most)}")
    return change


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
