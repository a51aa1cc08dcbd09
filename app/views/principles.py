"""What the laboratory holds to be so, as a section of the report and the page. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from move37.app.views.shapes import Cell, Column, Section, Table
from move37.lab.records import Principle


def principles_section(held: Sequence[Principle]) -> Section:
    """One row a principle, with the experiments that speak for and against it; empty where nothing stands."""
    columns = (Column("principle"), Column("for"), Column("against"), Column("kept by"))
    rows = tuple(
        (
            Cell(f"{p.id}: {p.text}"),
            Cell(", ".join(p.supports)),
            Cell(", ".join(p.contradicts)),
            Cell(p.author, "quiet"),
        )
        for p in held
    )
    return Section(
        title="What the laboratory holds to be so", table=Table(columns=columns, rows=rows, stacks=True),
        text="Of the whole home; every revision: move37 principles --history" if rows else "",
    )  # fmt: skip
