"""Views -> Rich renderables: leaderboard, tables, labelled facts. Foreign text enters as `Text`, never as markup.

Read `campaign_table` first: its leaderboard chooses by the width of the terminal between one line and several lines a
row, so that no value, interval or verdict is ever cut; names and reasons give way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from move37.app.fitting import STYLES, table
from move37.app.text import columns, counted, harmless, one_line
from move37.app.units import spell_clock, spell_moment
from move37.app.views import leaderboard as boards
from move37.app.views.campaign import caveat_of, metric_of, shortened
from move37.app.views.evidence import SQUARES, ladder_signs, shown_by
from move37.app.views.experiment import Detail
from move37.app.views.shapes import Section
from move37.app.views.words import CAVEAT, NOTES, seeds_text, sign_of, state_text, value_text, verdict_text
from move37.lab.archive.message import Message
from move37.lab.archive.store import Campaign
from move37.lab.numbers import DigitScale
from move37.lab.records import Experiment, GateResult, Metric, Role, Verdict
from move37.lab.summary import Summary

SPEAKERS = {
    "Researcher": "cyan",
    "Critic": "magenta",
    "Engineer": "green",
    "Debugger": "yellow",
    "Analyst": "blue",
    "Lab": "dim",
}
SIGNS = f"{SQUARES}; `move37 show ID` names them."
NAME = 18  # columns that a name needs to be told from others


def campaign_table(campaign: Campaign, experiments: Sequence[Experiment]) -> RenderableType:
    """Every experiment of a campaign in its groups, with what the numbers may say under it."""
    board = boards.board_of(experiments, metric_of(campaign))
    signs = [SIGNS] if any(ladder_signs(e, board.metric) for e in experiments) else []
    notes = [Text(note, style="dim") for note in (*NOTES, *signs, caveat_of(campaign) or CAVEAT)]
    cuts = [Text.assemble(("shortened: ", "yellow"), (harmless(s), "dim")) for s in shortened(campaign)]
    title = Text(campaign_title(campaign), style="bold")
    drawn = _Leaderboard(board.compact, runs=campaign.status == "running")
    return Group(title, "", drawn, *(Padding(line, (0, 0, 0, 2)) for line in (*notes, *cuts)))


def campaign_title(campaign: Campaign) -> str:
    """One line that names a campaign."""
    brief = campaign.brief
    when = spell_moment(campaign.started_at)
    words = f"Campaign {campaign.id} ({campaign.status}): {brief.task}, {brief.preset}"
    return one_line(f"{words}, {counted(brief.budget, 'candidate')}, seed {brief.seed}, {brief.model}, {when}")


class _Row:
    """One line of the leaderboard as texts."""

    def __init__(self, place: boards.Place, group: boards.Group, metric: Metric) -> None:
        e, own = place.experiment, place.experiment.role is Role.BASELINE
        self.ident = Text(one_line(e.id), style="" if own else "bold")
        self.name = one_line(e.name, 60)
        self.style = "" if own else "bold"
        self.value = summary_text(place.summary, group.scale)
        own_seeds = "" if group.rests_on else seeds_text(place.summary)
        self.evidence = Text(one_line(f"{ladder_signs(e, metric)} {own_seeds}".strip()), style="dim")
        if e.id == group.rival:
            self.effect = Text("rival", style="dim")
        elif place.verdict is not None and place.verdict.low is not None:
            self.effect = effect_text(place.verdict, group.scale)
        else:
            self.effect = Text(group.scale.signed(place.difference.value if place.difference else None), style="dim")


class _Leaderboard:
    """Rich asks it how to be drawn once the width is known."""

    def __init__(self, board: boards.LeaderboardView, *, runs: bool) -> None:
        self._board = board
        self._runs = runs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        for group in self._board.groups:
            rival = next((p.experiment for p in group.places if p.experiment.id == group.rival), None)
            against = f", against {one_line(rival.name, 40)}" if rival else ""
            yield Text(f"{group.full_heading}{against} ({self._board.metric.unit})", style="italic dim")
            yield from _lines([_Row(place, group, self._board.metric) for place in group.places], width)
            yield Text("")
        if self._board.claimed:
            yield Text("claims", style="italic dim")
            for e in self._board.claimed:
                yield Text.assemble(
                    (one_line(e.id), "bold"), " ", one_line(e.name, 60), no_wrap=True, overflow="ellipsis"
                )
                yield Padding(Text(harmless(shown_by(e, self._board.metric))), (0, 0, 0, 2))
            yield Text("")
        for heading, found in (("not measured yet", self._board.waiting), ("failed or rejected", self._board.ended)):
            if found:
                yield Text(heading, style="italic dim")
                yield from _states(found, runs=self._runs)
                yield Text("")


def _lines(rows: Sequence[_Row], width: int) -> Iterator[RenderableType]:
    """One line a row where everything fits; else the numbers stand on lines of their own under the name."""
    idents, values, effects, evidence = (max(t.cell_len for t in column) for column in _columns_of(rows))
    rest = width - idents - values - effects - evidence - 8
    if rest < min(NAME, max(columns(r.name) for r in rows)):
        for row in rows:
            yield Text.assemble(row.ident, " ", (row.name, row.style), no_wrap=True, overflow="ellipsis")
            yield from _packed([row.value, row.effect, row.evidence], width)
        return
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    for least in (idents, 0, values, effects, evidence):  # the name alone gives way
        grid.add_column(no_wrap=True, min_width=least)
    for row in rows:
        name = Text(row.name, style=row.style)
        name.truncate(rest, overflow="ellipsis")
        grid.add_row(row.ident, name, row.value, row.effect, row.evidence)
    yield grid


def _packed(parts: Sequence[Text], width: int) -> Iterator[Text]:
    """Indented lines that hold as many of the parts as fit."""
    line = Text("  ")
    for part in parts:
        if line.cell_len > 2 and line.cell_len + 2 + part.cell_len > width:
            yield line
            line = Text("  ")
        line = Text.assemble(line, "  " if line.cell_len > 2 else "", part)
    yield line


def _columns_of(rows: Sequence[_Row]) -> tuple[list[Text], list[Text], list[Text], list[Text]]:
    return [r.ident for r in rows], [r.value for r in rows], [r.effect for r in rows], [r.evidence for r in rows]


def _states(found: Iterable[Experiment], *, runs: bool) -> Iterator[RenderableType]:
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(ratio=1)
    for e in found:
        name = f"{one_line(e.name, 40)}: " if e.name else ""
        grid.add_row(Text(e.id), Text.assemble(name, (one_line(state_text(e, runs=runs), 160), "dim")))
    yield grid


def summary_text(summary: Summary | None, scale: DigitScale | None = None) -> Text:
    """A mean with its interval where it has one."""
    numbers = [summary.mean, summary.low, summary.high] if summary else []
    value, bounds = value_text(summary, scale or DigitScale.of(numbers))
    return Text.assemble((value, "red" if value == "diverged" else ""), (f" {bounds}" if bounds else "", "dim"))


def effect_text(verdict: Verdict | None, scale: DigitScale | None = None) -> Text:
    """A verdict in short: coloured only if its interval excludes zero."""
    numbers = [verdict.effect, verdict.low, verdict.high] if verdict else []
    effect, bounds, tone = verdict_text(verdict, scale or DigitScale.of(numbers))
    return Text.assemble((effect, STYLES[tone]), (f" {bounds}" if bounds else "", STYLES[tone] or "dim"))


def section(found: Section) -> RenderableType:
    """A titled part: facts, a table, a text."""
    parts: list[RenderableType] = []
    if found.pairs:
        grid = RichTable.grid(padding=(0, 2))
        grid.add_column(no_wrap=True, style="dim")
        grid.add_column(ratio=1)
        for label, text in found.pairs:
            grid.add_row(label, Text(harmless(text), style=STYLES[found.tone]))
        parts.append(grid)
    if found.table is not None and found.table.rows:
        parts.append(table(found.table))
    if found.text:
        parts.append(Text(harmless(found.text)))
    return Group(Text(found.title, style="bold underline"), *(Padding(p, (0, 0, 0, 2)) for p in parts), "")


def gate_sign(gate: GateResult) -> Text:
    """A tick, a cross, or a dash for a gate that could not run."""
    sign, tone = sign_of(gate)
    return Text(sign, style=STYLES[tone])


def conversation(lines: Iterable[Message]) -> RenderableType:
    """What was said, speaker by speaker."""
    parts: list[RenderableType] = []
    for line in lines:
        head = Text.assemble(speaker(line.source, user=line.user), (f" to {one_line(line.to, 40)}", "dim"))
        head.append(f"  {spell_clock(line.at)}", style="dim")
        parts += [head, Padding(Text(harmless(line.text)), (0, 0, 1, 2))]
    return Group(*parts) if parts else Text("nothing was said", style="dim")


def speaker(name: str, *, user: bool = False) -> tuple[str, str]:
    """A name with its colour; a user's stands out."""
    return one_line(name, 40), "bold white on blue" if user else f"bold {SPEAKERS.get(name, 'white')}"


def experiment_sections(detail: Detail) -> Iterator[RenderableType]:
    """Head, sections, and what else may be asked for."""
    e = detail.experiment
    title = Text.assemble((e.id, "bold"), "  ", (one_line(e.name or "not named yet"), "bold cyan"))
    reason = [Text(harmless(detail.reason), style="red")] if detail.reason else []
    yield Group(title, Text(one_line(detail.facts), style="dim"), *reason, "")
    yield from (section(part) for part in detail.sections)
    hints = [f"move37 show {e.id} --{flag}" for flag in (*(("source", "diff") if e.candidate else ()), "chat")]
    yield Text("  ".join(hints), style="dim")
