"""One experiment in full for the terminal: the sections of its view, under a head. Views -> Rich renderables."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from move37.app.tables import section
from move37.app.text import harmless, one_line
from move37.app.views.experiment import Detail


def experiment_sections(detail: Detail) -> Iterator[RenderableType]:
    """Head, sections, and what else may be asked for."""
    e = detail.experiment
    title = Text.assemble((e.id, "bold"), "  ", (one_line(e.name or "not named yet"), "bold cyan"))
    reason = [Text(harmless(detail.reason), style="red")] if detail.reason else []
    yield Group(title, Text(one_line(detail.facts), style="dim"), *reason, "")
    yield from (section(part) for part in detail.sections)
    hints = [f"move37 show {e.id} --{flag}" for flag in (*(("source", "diff") if e.candidate else ()), "chat")]
    yield Text("  ".join(hints), style="dim")
