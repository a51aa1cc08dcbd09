"""The pieces of a rendered context: each section of it as blocks that are shown whole, folded, or left out. Pure.

Foreign text (papers, analyses, file contents, other models' words) is put on one line or inside a fence that it cannot
close, so that it can be told from our own words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from move37.agents.research_context import LeaderboardRow, LedgerRow, ParentFacts, ResearchContext
from move37.agents.search.plans import plan_of_file
from move37.lab.numbers import DigitScale, effect_scale, effect_text, scale_of, signed
from move37.lab.probes.run import CHANCE
from move37.lab.records import Effects
from move37.memory import render as remembered

NEW, OLD = 4, 40  # ledger rows that rank before sources and recollections, and after them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContextBlock:
    """One piece."""

    text: str
    rank: float  # blocks of smaller rank are shown first when the budget is short
    folded: str = ""  # a shorter form
    must: bool = False  # shown even beyond the budget


def principles(context: ResearchContext) -> list[ContextBlock]:
    """One line each, strongest first."""
    found = []
    for place, p in enumerate(context.principles):
        against = f"; against: {', '.join(p.contradicts)}" if p.contradicts else ""
        text = f"- [{p.id}] {line(p.text)} (for: {', '.join(p.supports) or 'none'}{against})"
        found.append(ContextBlock(text=text, rank=10 + place))
    return found


def leaderboard(context: ResearchContext) -> list[ContextBlock]:
    """One block a step count, the most steps first to get room."""
    metric = context.task.metric
    found = []
    for place, (steps, rows) in enumerate(sorted(context.leaderboard.items(), reverse=True)):
        where = f"At {steps} steps" if steps else "Measured"
        lines = [f"{where} ({metric.name}, {'higher' if metric.higher_is_better else 'lower'} is better):"]
        scale = scale_of(metric.name, [row.value for row in rows])
        lines += [leaderboard_row(n, row, scale) for n, row in enumerate(rows, start=1)]
        short = "\n".join([lines[0], *lines[1:4]])
        found.append(ContextBlock(text="\n".join(lines), folded=short, rank=12 + place))
    return found


def leaderboard_row(place: int, row: LeaderboardRow, scale: DigitScale) -> str:
    """One experiment's place."""
    parts = [f"{place}. {row.experiment} {line(row.name)} {scale.text(row.value)}"]
    parts += ["baseline"] if row.is_baseline else []
    parts += [f"{row.seeds} seeds"] if row.seeds > 1 else []
    parts += [_probe(name, value) for name, value in row.probes.items()]
    parts += [f"{row.parameters} parameters"] if row.parameters else []
    parts += [f"{row.seconds:.0f} s"] if row.seconds else []
    return ", ".join(parts)


def _probe(name: str, value: float) -> str:
    chance = CHANCE.get(name)
    return f"{name} {value:.2f}" + ("" if chance is None else f" (chance {chance:.2f})")


def ledger(context: ResearchContext) -> list[ContextBlock]:
    """Newest experiments whole, older ones folded when the budget ends."""
    newest = list(reversed(context.ledger))
    ranks = {id(row): (5 if place < NEW else 30) + place / 100 for place, row in enumerate(newest)}
    return [ContextBlock(text=ledger_line(row), folded=_folded(row), rank=ranks[id(row)]) for row in context.ledger]


def ledger_near(context: ResearchContext) -> list[ContextBlock]:
    """The rows that share the base, or are the base."""
    base = context.hypothesis.base if context.hypothesis else ""
    rows = [row for row in context.ledger if base and base in (row.base, row.experiment)]
    return [ContextBlock(text=ledger_line(row), folded=_folded(row), rank=20) for row in rows]


def ledger_line(row: LedgerRow) -> str:
    """The change and its base, the effects, and the lesson."""
    parts = [f"- {row.experiment} {line(row.name)}, from {row.base or 'nothing known'}: {line(row.change)}"]
    told = effects(row.effects)
    parts += [f"Gain {told}{f' at {row.steps} steps' if row.steps else ''}."] if told else []
    parts += [f"Refused by {line(row.gate)}."] if row.gate else []
    status = line(row.status)
    parts += [f"{status[:1].upper()}{status[1:]}."]
    parts += [f"Lesson: {line(row.lesson)}"] if row.lesson else []
    parts += [f"Its claim: {line(row.claim)}"] if row.claim else []
    return " ".join(parts)


def _folded(row: LedgerRow) -> str:
    effect = row.effects.parent or row.effects.family or row.effects.best
    gain = f" {effect_scale(effect).signed(effect.value)} against {effect.rival}" if effect else ""
    gate = f" by {line(row.gate).partition(':')[0]}" if row.gate else ""
    return f"- {row.experiment} {line(row.name)}: {line(row.status)}{gate}{gain}"


def effects(known: Effects, *, of_baseline: bool = False) -> str:
    """Every known effect with its standard error, each against its rival; a baseline's best rival is another one."""
    best = "the best other baseline" if of_baseline else "the best baseline"
    named = (("its base", known.parent), ("its family's baseline", known.family), (best, known.best))
    seen: dict[str, str] = {}
    for words, one in named:
        if one is not None and one.rival not in seen:
            seen[one.rival] = f"{effect_text(one)} against {words} {one.rival}"
    return ", ".join(seen.values())


def sources(context: ResearchContext) -> list[ContextBlock]:
    """The parents and the best candidate in full, with what each changed and gained by it."""
    given = [*context.parents, *([context.best] if context.best else [])]
    found = []
    for place, p in enumerate(given):
        source = f"{_head(p)}\n{fence(p.source)}"
        found.append(ContextBlock(text=source, folded=_head(p), rank=1 + 7 * place, must=place == 0))
        if p.diff:
            diff = f"What {p.id} changed in {p.base}:\n{fence(p.diff, 'diff')}"
            found.append(ContextBlock(text=diff, rank=2 + 7 * place))
    return found


def plans(context: ResearchContext) -> list[ContextBlock]:
    """The same as plans of the grammar, where the file has one."""
    found = []
    for place, p in enumerate([*context.parents, *([context.best] if context.best else [])]):
        plan = plan_of_file(p.source, family=p.family, is_baseline=p.is_baseline)
        text = f"{_head(p)}\nPlan: {plan or 'the grammar cannot say this file'}"
        found.append(ContextBlock(text=text, folded=_head(p), rank=1 + place, must=place == 0))
    return found


def parents(context: ResearchContext) -> list[ContextBlock]:
    """The same without the files."""
    given = [*context.parents, *([context.best] if context.best else [])]
    diffs = {p.id: f"\n{fence(p.diff, 'diff')}" if p.diff else "" for p in given}
    return [ContextBlock(text=_head(p) + diffs[p.id], folded=_head(p), rank=4 + n) for n, p in enumerate(given)]


def base_source(context: ResearchContext) -> list[ContextBlock]:
    """The file that the hypothesis changes; edits are applied to it. Below it what it is crossed with, or repairs."""
    wanted = context.hypothesis.base if context.hypothesis else ""
    base = next((p for p in context.parents if p.id == wanted), None) or next(iter(context.parents), None)
    ranked = [*([base] if base else []), *(p for p in context.parents if p is not base)]
    texts = [f"{_head(p)}\n{fence(p.source)}" for p in ranked]
    return [ContextBlock(text=text, rank=1 + n, must=n == 0) for n, text in enumerate(texts)]


def _head(p: ParentFacts) -> str:
    parts = [f"### {p.id} {line(p.name)} ({p.family}{', a baseline' if p.is_baseline else ''})"]
    if p.value is not None:
        parts.append(f"Measured {p.value:.3f}{f' at {p.steps} steps' if p.steps else ''}.")
    told = effects(p.effects, of_baseline=p.is_baseline)
    parts += [f"Gain {told}."] if told else []
    parts += [f"Chosen because: {line(p.why)}."] if p.why else []
    parts += [f"Its analysis says to try: {line(p.next)}"] if p.next else []
    parts += [f"Its claim: {line(p.claim)}"] if p.claim else []
    return " ".join(parts)


def recollections(context: ResearchContext) -> list[ContextBlock]:
    """Whole or not at all, in memory's own order; less what the newest rows of the ledger, which stand whole, say."""
    said = {row.experiment: row.lesson for row in context.ledger[-NEW:]}
    items = [replace(r, lesson="", evidence=None) if r.lesson == said.get(r.key) else r for r in context.recollections]
    return [
        ContextBlock(text=f"- [{r.key}] {line(remembered.recollection(r), ' | ')}", rank=15 + place)
        for place, r in enumerate(items)
    ]


def pool(context: ResearchContext) -> list[ContextBlock]:
    """Unchosen ideas, with why they were ranked behind."""
    return [
        ContextBlock(
            text=f"- [{i.id}] {line(i.hypothesis.name)}, from {i.hypothesis.base}: {line(i.hypothesis.change)} "
            f"Ranked behind because: {line(i.reason) or 'not said'}",
            rank=25 + place,
        )
        for place, i in enumerate(reversed(context.pool))
    ]


def in_flight(context: ResearchContext) -> list[ContextBlock]:
    """Hypotheses whose numbers are not there yet."""
    return [
        ContextBlock(text=f"- {f.experiment} {line(f.name)}: {line(f.change)}", rank=6 + place)
        for place, f in enumerate(context.in_flight)
    ]


def budget(context: ResearchContext) -> list[ContextBlock]:
    """What is left."""
    left = context.budget
    parts = [f"{left.experiments_left} experiment{'s' * (left.experiments_left != 1)}, this one included"]
    parts += [f"{left.seconds_left / 60:.0f} minutes"] if left.seconds_left is not None else []
    parts += [f"{left.tokens_left} tokens"] if left.tokens_left is not None else []
    if left.next_rung:
        cost = f", about {left.next_rung_seconds:.0f} s a candidate" if left.next_rung_seconds else ""
        parts.append(f"the next rung is {left.next_rung}{cost}")
    return [ContextBlock(text="; ".join(parts) + ".", rank=3)]


def direction(context: ResearchContext) -> list[ContextBlock]:
    """The brief, what was handed over, and what was said in this experiment."""
    texts = [fence(context.direction, "markdown")] if context.direction.strip() else []
    texts += [f"- Proposed by the user: {line(p)}" for p in context.proposals]
    texts += [f"- Said by the user: {line(s)}" for s in context.said]
    texts += [f"- Ruled out by the user as a base: {line(word)}" for word in context.ruled_out]
    return [ContextBlock(text="\n".join(texts), rank=0, must=True)] if texts else []


def hypothesis(context: ResearchContext) -> list[ContextBlock]:
    """What is to be built, or was."""
    h = context.hypothesis
    if h is None:
        return []
    lines = [
        f"{line(h.name)} ({h.family}), from {h.base or 'nothing known'}",
        f"Change: {line(h.change)}",
        f"Why: {line(h.motivation)}",
        f"Predicted: {line(h.predicted_effect)}",
        f"Watch: {line(h.probe)}. Risk: {line(h.risk)}",
    ]
    lines += [f"Forecast of {f.author}: {signed(f.effect)} ({signed(f.low)} to {signed(f.high)})" for f in h.forecasts]
    return [ContextBlock(text="\n".join(lines), rank=0, must=True)]


def line(text: str, joint: str = " ") -> str:
    """Foreign text on one line."""
    return joint.join(part for part in (" ".join(piece.split()) for piece in text.splitlines()) if part)


def fence(text: str, language: str = "python") -> str:
    """Foreign text inside a fence that it cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def told(rows: Sequence[str]) -> str:
    """Lines as a list."""
    return "\n".join(f"- {row}" for row in rows)
