"""What a proposal's plan says, for whoever is no part of the search."""

from __future__ import annotations

from move37.agents.search.grammar import from_json, operators_in


def operators_of_plan(plan: str) -> tuple[str, ...]:
    """Operators of the mixer that a plan describes; none when it is no plan of the grammar."""
    genome = from_json(plan) if plan else None
    return operators_in(genome) if genome is not None else ()
