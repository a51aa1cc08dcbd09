"""Everything that is shown, as CSV and JSON, and the report as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from move37.app.page.frame import Page, content, fragment, render
from move37.app.page.hub import Hub
from move37.app.reading import as_csv
from move37.app.report import html_of, markdown_of
from move37.app.views.campaign import CampaignView
from move37.app.views.curves import lines
from move37.app.views.leaderboard import board_of
from move37.app.views.rows import board_rows, chat_row, curve_rows, measurement_rows, show_row

Rows = list[dict[str, Any]]
ROWS: Mapping[str, tuple[str, Callable[[CampaignView], Rows]]] = {
    "leaderboard": ("every place of every group", lambda view: board_rows(board_of(view.experiments, view.metric))),
    "measurements": ("every single run", lambda view: measurement_rows(view.experiments)),
    "curves": ("every stored point of the training curves", lambda view: curve_rows(lines(view.curves))),
    "conversation": (
        "everything that was said",
        lambda view: [{"experiment": i} | chat_row(line) for i, said in view.lines.items() for line in said],
    ),
}


async def links(page: Page) -> None:
    """Where the files are."""
    with content():
        files = [(name, words) for name, (words, _) in ROWS.items()]
        fragment(render("data.html", files=files, base=f"/c/{page.campaign}"))


async def made(hub: Hub, campaign: int, name: str) -> tuple[str, str] | None:
    """Media type and text of one file; None for a name that is none. Raises `ArchiveError` for an unknown campaign."""
    stem, _, kind = name.rpartition(".")
    if name in ("report.html", "report.md"):
        kind, write = ("text/html", html_of) if name == "report.html" else ("text/markdown", markdown_of)
        view, insight = await hub.view(campaign), await hub.insight(campaign)
        return kind, await hub.once(name, campaign, (view, insight), lambda: write(view, insight))
    if name == "experiments.json":
        rows = await hub.rendered("experiments", campaign, lambda v: [show_row(e, v.metric) for e in v.experiments])
        return "application/json", json.dumps(rows, ensure_ascii=False, allow_nan=False)
    if stem not in ROWS or kind not in ("csv", "json"):
        return None
    rows = await hub.rendered(f"rows:{stem}", campaign, ROWS[stem][1])
    return ("text/csv", as_csv(rows)) if kind == "csv" else ("application/json", json.dumps(rows, ensure_ascii=False))
