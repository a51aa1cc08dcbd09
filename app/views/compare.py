"""Experiments beside each other, and campaigns beside each other: only values of one group share a row. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from move37.app.units import spell_count, spell_moment
from move37.app.views.campaign import CampaignView
from move37.app.views.leaderboard import ComparisonTerms, board_of, paired_difference
from move37.app.views.lineage import ancestry
from move37.app.views.search import claim, costs_of, outcomes, parameters_of, seconds_measured, shared_terms
from move37.app.views.shapes import Cell, Column, Section, Table
from move37.app.views.state import TOKENS, state_of
from move37.app.views.words import direction, seeds_text, value_text, words_of
from move37.lab.claims import claim_lesson
from move37.lab.numbers import DigitScale, effect_range
from move37.lab.records import Experiment, Metric, Role
from move37.lab.summary import summarise


def oldest_first(found: Sequence[Experiment]) -> list[Experiment]:
    """Baselines, then candidates as they were tried: what came later is told as a change of what was there."""
    return sorted(found, key=lambda e: (e.role is not Role.BASELINE, e.campaign, e.number, e.id))


def first_choice(view: CampaignView) -> list[str]:
    """What is compared unless somebody chooses: the best candidate and what it was made from, or the best baseline."""
    order = board_of(view.experiments, view.metric).order
    best = next((i for i in order if (e := view.find(i)) and e.role is Role.CANDIDATE), None)
    baseline = next((i for i in order if (e := view.find(i)) and e.role is Role.BASELINE), "")
    if best is None:
        return [baseline] if baseline else []
    beside = ancestry([*view.ancestors.values(), *view.experiments]).get(best) or baseline
    return [i for i in (beside, best) if i]


def comparable(one: CampaignView, other: CampaignView) -> bool:
    """Whether values of both may stand in one group: the same task, data and metric."""
    return one.metric == other.metric and one.campaign.comparable_by == other.campaign.comparable_by


def comparison_of(found: Sequence[Experiment], metric: Metric) -> list[Section]:
    """The primary metric by groups, each with its difference to the first; other metrics, costs, what each believed."""
    believed = _beliefs(found, metric)
    heads = (Column(""), *(Column(e.name or e.id, True) for e in found))
    return [
        section
        for section in (
            Section(title=direction(metric), table=Table(columns=heads, rows=_groups(found, metric), stacks=True)),
            Section(title="Other metrics", table=Table(columns=heads, rows=_others(found, metric), stacks=True)),
            Section(title="What it costs", table=Table(columns=heads, rows=_costs(found, metric), stacks=True)),
            Section(title="What was believed", table=Table(columns=_plain(heads), rows=believed, stacks=True)),
        )
        if section
    ]


def campaigns_table(views: Sequence[CampaignView]) -> Table:
    """One row a campaign: what it tried, spent and shows."""
    names = ("campaign", "task", "begun", "status", "tried", "outcomes", "spent", "shows")
    rows = []
    for view in views:
        brief = view.campaign.brief
        counts = ", ".join(f"{n} {status}" for status, n in outcomes(view.candidates).items())
        tried = f"{len(view.candidates)} of {brief.budget}"
        setup = f"{brief.task}, {brief.preset}, seed {brief.seed}, {brief.model}"
        begun = spell_moment(view.campaign.started_at)
        spent = f"{seconds_measured(view):,.0f} s of training and scoring"
        spent += f", {spell_count(view.tokens)} tokens" if view.tokens else ""
        spent += f", {view.cost:.2f} dollars" if view.cost else ""
        cells = (str(view.campaign.id), setup, begun, view.campaign.status, tried, counts, spent, claim(view))
        rows.append(tuple(Cell(c) for c in cells))
    return Table(columns=tuple(Column(n) for n in names), rows=tuple(rows), stacks=True)


def _groups(found: Sequence[Experiment], metric: Metric) -> tuple[tuple[Cell, ...], ...]:
    rows = []
    for group in board_of(found, metric).groups:
        at = {p.experiment.id: p for p in group.places}
        best = next((p.experiment.id for p in group.places if not p.summary.diverged), "")
        cells = [Cell(group.full_heading, "quiet")]
        for e in found:
            place = at.get(e.id)
            value, bounds = value_text(place.summary if place else None, group.scale)
            rests_on = f"({seeds_text(place.summary)})" if place and not group.rests_on else ""
            parts = (value, bounds, rests_on, _difference(e, found[0], metric, group.terms) if place else "")
            cells.append(Cell(" ".join(p for p in parts if p), "strong" if e.id == best and len(at) > 1 else ""))
        rows.append(tuple(cells))
    return tuple(rows)


def _difference(e: Experiment, first: Experiment, metric: Metric, terms: ComparisonTerms) -> str:
    """The gain over the first one at equal seeds, with its 95 % interval where the noise is known."""
    effect = None if e.id == first.id else paired_difference(e, first, metric, terms)
    return "" if effect is None else f"gain {effect_range(effect)}"


def _others(found: Sequence[Experiment], metric: Metric) -> tuple[tuple[Cell, ...], ...]:
    summaries = [summarise(e.measurements) for e in found]
    rows = []
    for name in sorted({n for s in summaries for n in s} - {metric.name}):
        scale = DigitScale.of(s[name].mean for s in summaries if name in s)
        values = (" ".join(value_text(s.get(name), scale)).strip() for s in summaries)
        rows.append((Cell(words_of(name), "quiet"), *(Cell(v) for v in values)))
    return tuple(rows)


def _costs(found: Sequence[Experiment], metric: Metric) -> tuple[tuple[Cell, ...], ...]:
    """As in the plot of quality beside cost; speed and memory where all were trained alike."""
    alike = {cost.experiment.id: cost for cost in costs_of(found, metric, shared_terms(found, metric))}
    rows: list[tuple[str, list[float | None]]] = [
        ("parameters of the mixer", [parameters_of(e) for e in found]),
        ("tokens a CPU second", [alike[e.id].speed if e.id in alike else None for e in found]),
        ("bytes at the peak of training", [alike[e.id].memory if e.id in alike else None for e in found]),
        (f"numbers of state at {TOKENS:,} tokens", [state_of(e) for e in found]),
    ]
    return tuple(
        (Cell(label, "quiet"), *(Cell("–" if v is None else f"{v:,.0f}") for v in values))
        for label, values in rows
        if any(v is not None for v in values)
    )


def _beliefs(found: Sequence[Experiment], metric: Metric) -> tuple[tuple[Cell, ...], ...]:
    said = (
        ("changes", [e.hypothesis.change if e.hypothesis else "" for e in found]),
        ("because", [e.hypothesis.motivation if e.hypothesis else "" for e in found]),
        ("seen", [e.analysis.seen if e.analysis else "" for e in found]),
        ("why", [e.analysis.why if e.analysis else "" for e in found]),
        ("claim", [claim_lesson(e.claim, metric) if e.claim is not None else "" for e in found]),
        ("status", [e.status.value for e in found]),
    )
    return tuple((Cell(label, "quiet"), *(Cell(t) for t in texts)) for label, texts in said if any(texts))


def _plain(heads: Sequence[Column]) -> tuple[Column, ...]:
    return tuple(Column(h.name) for h in heads)
