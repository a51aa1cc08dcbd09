"""An audit as a table, JSON, Markdown and HTML: verdict, failing gates, and how to repeat each failure. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from move37.app.text import harmless, one_line
from move37.app.views.shapes import Cell, Column, Table
from move37.lab.audit.run import Audited, summary_of
from move37.lab.gates.registry import BUDGETS


def headline(audited: Sequence[Audited]) -> str:
    """The audit in a sentence."""
    found = summary_of(audited)
    refused = ", ".join(f"{name} {count}" for name, count in found.by_gate.items())
    told = (
        f"{found.programs} programs, {found.tested} tested: {found.clean} pass every gate, "
        f"{found.faulty} have a fault, {found.over_budget} are only too large or too slow"
    )
    return f"{told}; refused by {refused}" if refused else told


def table_of(audited: Sequence[Audited]) -> Table:
    """One row a program: what was tested, what refuses it, and the first reason."""
    columns = (Column("program"), Column("layer"), Column("verdict"), Column("because"))
    return Table(columns=columns, rows=tuple(_row(a) for a in audited))


def _row(audited: Audited) -> tuple[Cell, ...]:
    if not audited.tested:
        verdict = Cell("could not test", "quiet")
    elif audited.failed:
        verdict = Cell(f"fails {', '.join(audited.failed)}", "bad" if set(audited.failed) - BUDGETS else "quiet")
    else:
        verdict = Cell("passes", "good")
    return Cell(audited.name), Cell(audited.layer), verdict, Cell(_because(audited), "quiet")


def _because(audited: Audited) -> str:
    if not audited.tested:
        return audited.reason
    return next((g.message for g in audited.gates if g.passed is False), "")


def record_of(audited: Sequence[Audited]) -> dict[str, Any]:
    """The JSON that other programs rely on."""
    found = summary_of(audited)
    return {
        "programs": [
            {
                "name": a.name,
                "tested": a.tested,
                "reason": a.reason,
                "layer": a.layer,
                "file": kept_name(number, a) if a.adapted else "",
                "gates": [
                    {"name": g.name, "passed": g.passed, "value": _number(g.value), "limit": _number(g.limit),
                     "message": g.message}
                    for g in a.gates
                ],
                "reproducers": dict(a.reproducers),
            }
            for number, a in enumerate(audited, start=1)
        ],
        "summary": {"programs": found.programs, "tested": found.tested, "clean": found.clean,
                    "faulty": found.faulty, "over_budget": found.over_budget, "by_gate": found.by_gate},
    }  # fmt: skip


def kept_name(number: int, audited: Audited) -> str:
    """The judged file of the `number`-th program, as `--keep` writes it."""
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in audited.name)[:80]
    return f"{number:03d}-{name}.py"


def kept_files(audited: Sequence[Audited]) -> dict[str, str]:
    """Name -> text of each judged file."""
    return {kept_name(n, a): a.adapted for n, a in enumerate(audited, start=1) if a.adapted}


def _number(value: float | None) -> float | None:
    return value if value is not None and abs(value) <= 1e300 else None


def markdown_of(audited: Sequence[Audited], *, title: str) -> str:
    """A page of Markdown: the sentence, the table, and each failure with the command that repeats it."""
    lines = [f"# Audit of {_md(title)}", "", f"{headline(audited)}.", "", "| program | layer | verdict | because |"]
    lines.append("|---|---|---|---|")
    for a in audited:
        lines.append(f"| {' | '.join(_md(cell.text) for cell in _row(a))} |")
    failing = [(number, a) for number, a in enumerate(audited, start=1) if a.failed]
    if failing:
        lines += ["", "## How to repeat each failure", ""]
        lines.append(f"{_KEPT} `move37 check` on one of them repeats all of it.")
    for number, a in failing:
        lines += ["", f"### {_md(a.name)}", "", f"`{kept_name(number, a)}`"]
        for g in a.gates:
            if g.passed is False:
                lines += ["", f"- {g.name}: {_md(g.message)}"]
                if shown := a.reproducers.get(g.name):
                    lines += ["", "  ```python", *(f"  {line}".rstrip() for line in shown.splitlines()), "  ```"]
    return "\n".join(lines) + "\n"


_KEPT = (
    "`--keep DIR` leaves the judged files in DIR; the lines under a failure, put below its file, show it on the "
    "shortest input that was found."
)


def html_of(audited: Sequence[Audited], *, title: str) -> str:
    """One page that needs nothing else; foreign text is escaped."""
    rows = []
    for number, a in enumerate(audited, start=1):
        cells = "".join(f"<td class='{c.tone}'>{_html(c.text)}</td>" for c in _row(a))
        shut = [g for g in a.gates if g.passed is False and a.tested]
        failures = "".join(f"<li><b>{_html(g.name)}</b> {_html(g.message)}{_shown(a, g.name)}</li>" for g in shut)
        kept = f"<code>{_html(kept_name(number, a))}</code>" if failures else ""
        more = f"<tr><td>{kept}</td><td colspan='3'><ul>{failures}</ul></td></tr>" if failures else ""
        rows.append(f"<tr>{cells}</tr>{more}")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Audit of {_html(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Audit of {_html(title)}</h1><p>{_html(headline(audited))}.</p>"
        f"<p>{_KEPT.replace('`', '')}</p>"
        "<table><thead><tr><th>program</th><th>layer</th><th>verdict</th><th>because</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></body></html>\n"
    )


def _shown(audited: Audited, gate: str) -> str:
    lines = audited.reproducers.get(gate)
    return f"<pre>{_html(lines)}</pre>" if lines else ""


_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884;"
    "vertical-align:top}.good{color:#2e7d32}.bad{color:#c62828}.quiet{opacity:.75}ul{margin:.2rem 0}"
)


def _md(text: str) -> str:
    return one_line(text, 300).replace("|", "\\|").replace("<", "&lt;")


def _html(text: str) -> str:
    return html.escape(harmless(text)[:2000])
