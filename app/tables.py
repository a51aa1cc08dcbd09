"""Records -> Rich renderables: the leaderboard and its neighbours. Foreign text enters as `Text`, never as markup.

Read `leaderboard` first. Rows stand in groups of equal steps, because values after different steps do not compare;
within a group the best is first. What one seed can say is said beside it, on every row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from move37.app.report.words import ENDED, evidence, footnotes, grouped, together
from move37.app.text import harmless, one_line
from move37.lab.archive.store import Line
from move37.lab.records import Experiment, GateResult, Measurement, Metric, Role, Verdict
from move37.lab.verdicts import Row, Summary
from move37.lab.verdicts import leaderboard as ranked

SPEAKERS = {
    "Researcher": "cyan",
    "Critic": "magenta",
    "Engineer": "green",
    "Debugger": "yellow",
    "Analyst": "blue",
    "Lab": "dim",
}


def leaderboard(
    experiments: Sequence[Experiment], *, metric: Metric, shortened: Sequence[str] = (), title: str = ""
) -> RenderableType:
    """Every experiment against the baselines, with what the numbers may say under it."""
    rows = ranked(experiments, metric=metric)
    reasons = {e.id: e.reason for e in experiments}
    table = Table(
        title=title or None, title_justify="left", pad_edge=False, box=None, header_style="bold", padding=(0, 1)
    )
    table.add_column("experiment", no_wrap=True)
    table.add_column("name", overflow="fold", min_width=12, ratio=3)
    table.add_column(metric.unit, no_wrap=True)
    table.add_column("evidence", ratio=3, min_width=14)
    table.add_column("against the best baseline", ratio=4, min_width=18)
    for heading, group in grouped(rows, metric):
        table.add_row(Text(heading, style="dim italic"))
        for row in group:
            _add(table, row, metric, reasons[row.experiment])
    notes = [Text(note, style="dim") for note in footnotes(metric)]
    cuts = [Text.assemble(("shortened: ", "yellow"), (harmless(s), "dim")) for s in shortened]
    return Group(table, Text(""), *(Padding(line, (0, 0, 0, 2)) for line in (*notes, *cuts)))


def _add(table: Table, row: Row, metric: Metric, reason: str) -> None:
    own = row.role is Role.BASELINE
    style = "dim" if row.status.value in ENDED else "" if own else "bold"
    table.add_row(
        Text(one_line(row.experiment), style=style),
        Text(one_line(row.name, 60), style=style),
        value_text(row.metrics.get(metric.name)),
        Text(one_line(evidence(row, metric, reason), 160), style="dim" if own or not row.metrics else ""),
        Text("baseline", style="dim") if own else effect_text(row.verdict),
    )


def value_text(summary: Summary | None) -> Text:
    """A mean with its interval where it has one."""
    if summary is None:
        return Text("-", style="dim")
    if summary.diverged or not math.isfinite(summary.mean):
        return Text("diverged", style="red")
    text = Text(f"{summary.mean:.3f}")
    if summary.low is not None and summary.high is not None:
        text.append(f" [{summary.low:.3f}, {summary.high:.3f}]", style="dim")
    return text


def effect_text(verdict: Verdict | None) -> Text:
    """A verdict in short: coloured only where an interval excludes nothing."""
    if verdict is None or not math.isfinite(verdict.effect):
        return Text("-", style="dim")
    if verdict.low is None or verdict.high is None:
        return Text(f"{verdict.effect:+.3f} on one seed", style="dim")
    style = "bold green" if verdict.low > 0 else "red" if verdict.high < 0 else ""
    text = Text(f"{verdict.effect:+.3f} [{verdict.low:+.3f}, {verdict.high:+.3f}]", style=style)
    return text.append(f" of {verdict.tried} tried", style="dim")


def gates_table(gates: Iterable[GateResult]) -> Table:
    """Each gate: passed, the number, the limit, and the sentence."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for name in ("", "gate", "value", "limit"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("value", "limit") else "left")
    table.add_column("says", ratio=1)
    for names, gate in together(gates):
        table.add_row(
            gate_sign(gate),
            Text(one_line(names)),
            number(gate.value),
            number(gate.limit),
            Text(one_line(gate.message)),
        )
    return table


def gate_sign(gate: GateResult) -> Text:
    """A tick, a cross, or a dash for a gate that could not run."""
    return {True: Text("✓", style="green"), False: Text("✗", style="bold red"), None: Text("–", style="dim")}[
        gate.passed
    ]


def measurements_table(measurements: Iterable[Measurement]) -> Table:
    """Every run."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for name in ("metric", "value", "rung", "steps", "rate", "seed", "train s", "note"):
        table.add_column(name, justify="left" if name in ("metric", "note") else "right")
    for m in measurements:
        said = {"fresh seed": m.fresh, "diverged": m.diverged, "self-reported": m.self_reported}
        table.add_row(
            Text(one_line(m.metric)),
            number(m.value),
            str(m.rung),
            str(m.steps or "-"),
            f"{m.learning_rate:g}" if m.learning_rate else "-",
            str(m.seed),
            f"{m.train_seconds:.1f}",
            Text(", ".join(k for k, v in said.items() if v), style="dim"),
        )
    return table


def number(value: float | None) -> str:
    """Four significant digits, whole thousands with commas, or a dash."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def conversation(lines: Iterable[Line]) -> RenderableType:
    """What was said, speaker by speaker."""
    parts: list[RenderableType] = []
    for line in lines:
        head = Text.assemble(speaker(line.source, person=line.person), (f" to {one_line(line.to, 40)}", "dim"))
        head.append(f"  {line.at[11:19]}", style="dim")
        parts += [head, Padding(Text(harmless(line.text)), (0, 0, 1, 2))]
    return Group(*parts) if parts else Text("nothing was said", style="dim")


def speaker(name: str, *, person: bool = False) -> tuple[str, str]:
    """A name with its colour; a person's stands out."""
    return one_line(name, 40), "bold white on blue" if person else f"bold {SPEAKERS.get(name, 'white')}"
