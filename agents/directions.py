"""What a user wants from now on: parents to use or to avoid, and lines that every later experiment is told.

A direction stands until it is taken back. The campaign stores `Directions` with its facts, so that a resumed campaign
still follows them. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal["pin", "ban", "say"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One preference."""

    kind: Kind
    text: str  # what to pin or ban (an experiment's id, a baseline's name, a family), or a line
    user: str = "person"
    at: str = ""  # ISO 8601, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """Preferences that are in force, oldest first."""

    standing: tuple[Direction, ...] = ()

    @property
    def pinned(self) -> tuple[str, ...]:
        """Ids, names or families to build on, a later ban of the same word excluded."""
        return self._last("pin")

    @property
    def banned(self) -> tuple[str, ...]:
        """Ids, names or families never to build on, a later pin of the same word excluded."""
        return self._last("ban")

    @property
    def lines(self) -> tuple[str, ...]:
        """What was said for all later experiments."""
        return tuple(d.text for d in self.standing if d.kind == "say")

    def _last(self, kind: Kind) -> tuple[str, ...]:
        last = {d.text: d.kind for d in self.standing if d.kind != "say"}
        return tuple(word for word, said in last.items() if said == kind)


def add(directions: Directions, direction: Direction) -> Directions:
    """Add a preference; it overrules earlier ones about the same word."""
    return replace(directions, standing=(*directions.standing, direction))


def undo(directions: Directions) -> tuple[Directions, Direction | None]:
    """Without the newest preference; and that one."""
    if not directions.standing:
        return directions, None
    return replace(directions, standing=directions.standing[:-1]), directions.standing[-1]


def matches(word: str, *, ident: str, name: str, family: str) -> bool:
    """Whether a pinned or banned word means this experiment: its id, its name or its family."""
    return word in (ident, name, family)


def from_facts(facts: Mapping[str, Any]) -> Directions:
    """As a campaign's facts keep them; none where nothing was stored."""
    stored = facts.get("directions") or {}
    return Directions(standing=tuple(Direction(**entry) for entry in stored.get("standing", ())))
