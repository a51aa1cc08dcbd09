"""Ideas that were proposed and not chosen: those of one experiment and what became of them, and the pool. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from move37.agents.ledger import pool, taken_up_by, unchosen
from move37.agents.research_context import IdeaFacts
from move37.app.views.shapes import Cell, Column, Section, Table
from move37.lab.records import Experiment

HOW = "`/propose ID` hands one to the next experiment."


def ideas_section(experiment: Experiment, everybody: Sequence[Experiment]) -> Section:
    """What its Researcher proposed beside what was tried."""
    rows = [(idea, taken_up_by(idea, everybody)) for idea in unchosen(experiment)]
    return _section("Ideas not chosen", [(i, f"taken up by {who}" if who else "waits in the pool") for i, who in rows])


def pool_section(experiments: Sequence[Experiment]) -> Section:
    """Ideas that nobody has tried yet, oldest first."""
    return _section("Ideas that nobody has tried", [(idea, "") for idea in pool(experiments)], text=HOW)


def _section(title: str, found: Sequence[tuple[IdeaFacts, str]], text: str = "") -> Section:
    names = ["id", "idea", "from", "change", "ranked behind because", *(["since"] if any(s for _, s in found) else [])]
    rows = []
    for idea, since in found:
        h = idea.hypothesis
        cells = (idea.id, h.name, h.base, h.change, idea.reason or "not said", *([since] if since else []))
        rows.append(tuple(Cell(text) for text in cells))
    return Section(
        title=title,
        table=Table(columns=tuple(Column(name) for name in names), rows=tuple(rows), stacks=True),
        text=text if rows else "",
    )
