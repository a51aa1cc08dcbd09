"""A bar on a terminal's stderr, lines elsewhere: what a long command without a campaign tells while it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from move37.agents.claim_ground import ClaimWatch
from move37.app.confirmation import told_on_stderr
from move37.app.terminal import console
from move37.app.text import one_line
from move37.lab.claims import against
from move37.lab.confirming import ConfirmationPlan
from move37.lab.records import Comparison, Metric


@contextmanager
def watching() -> Iterator[ClaimWatch]:
    """What `move37 confirm`, `reproduce` and `baseline` tell of themselves."""
    if not sys.stderr.isatty():
        yield told_on_stderr()
        return
    times = (TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("left"))
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=12), MofNCompleteColumn(), *times)
    with Progress(*columns, console=console(stderr=True)) as bar:
        runs = bar.add_task("preparing", total=None)

        def begins(plan: ConfirmationPlan, count: int) -> None:
            bar.console.print(f"confirmation {plan.confirmation} of this home, {len(plan.seeds)} fresh seeds")
            bar.update(runs, total=count, completed=0, description="runs")

        def run(name: str, seed: int, kept: bool) -> None:
            bar.update(runs, advance=1, description=one_line(name, 22))

        def answers(comparison: Comparison, metric: Metric) -> None:
            sign = "holds" if comparison.holds else "fails"
            bar.console.print(one_line(f"{sign}: {comparison.question}, {against(comparison, metric)}", 200))

        yield ClaimWatch(
            begins=begins, run=run, answers=answers, notice=lambda text: bar.console.print(one_line(text, 200))
        )
